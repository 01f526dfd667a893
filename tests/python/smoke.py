"""A stock gRPC client in another language, with nothing but the proto files.

    leasehold dev -- python3 tests/python/smoke.py

Acquires, waits, renews, releases, watches and writes; exits 0 only if every step did what it says.
"""

import importlib
import os
import pathlib
import queue
import sys
import tempfile
import threading

import grpc
from google.rpc import error_details_pb2
from google.protobuf.duration_pb2 import Duration
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
generated = tempfile.TemporaryDirectory()
files = sorted(str(path) for kind in ("lease", "store") for path in PROTO.glob(f"leasehold/{kind}/v1/*.proto"))
assert protoc.main(
    ["protoc", f"-I{PROTO}", f"-I{pathlib.Path(protoc.__file__).parent / '_proto'}",
     f"--python_out={generated.name}", f"--grpc_python_out={generated.name}", *files]) == 0
sys.path.insert(0, generated.name)
lease_pb = importlib.import_module("leasehold.lease.v1.lease_pb2")
lease_rpc = importlib.import_module("leasehold.lease.v1.lease_pb2_grpc")
store_pb = importlib.import_module("leasehold.store.v1.store_pb2")
store_rpc = importlib.import_module("leasehold.store.v1.store_pb2_grpc")

PATIENCE = 60.0


def seconds(value):
    return Duration(seconds=value)


def refused(call):
    """The ErrorInfo of a call that must be refused."""
    try:
        call()
    except grpc.RpcError as error:
        for detail in rpc_status.from_call(error).details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                assert info.domain == "leasehold", info
                return error.code(), info
        raise
    raise AssertionError("was not refused")


def main():
    addresses = os.environ["LEASEHOLD_ENDPOINTS"].split(",")
    nodes = [lease_rpc.LeaseServiceStub(grpc.insecure_channel(address)) for address in addresses]
    store = store_rpc.StoreServiceStub(grpc.insecure_channel(os.environ["LEASEHOLD_STORE"]))

    def acquire(node, resource, holder, ttl, wait=0):
        request = lease_pb.AcquireRequest(
            resource=resource, holder=holder, request_id=os.urandom(16), ttl=seconds(ttl), wait=seconds(wait))
        return node.Acquire(request, timeout=PATIENCE).lease

    seen = queue.Queue()
    watch = nodes[1].Watch(lease_pb.WatchRequest(prefix="python/"), timeout=PATIENCE)
    first = next(watch)
    assert not first.events and first.revision >= 0

    def follow():
        try:
            for message in watch:
                for event in message.events:
                    seen.put(event)
        except grpc.RpcError:
            pass  # cancelled at the end of main

    threading.Thread(target=follow, daemon=True).start()

    ann = acquire(nodes[0], "python/job", "ann", 30)
    assert ann.token > 0 and ann.valid_for.ToMilliseconds() == 30_000, ann
    print("acquired: token", ann.token)

    code, info = refused(lambda: acquire(nodes[1], "python/job", "bob", 30))
    assert (code, info.reason) == (grpc.StatusCode.ABORTED, "HELD"), (code, info)
    assert info.metadata["holder"] == "ann"
    print("refused while held, by", info.metadata["holder"])

    granted = queue.Queue()
    threading.Thread(
        target=lambda: granted.put(acquire(nodes[2], "python/job", "bob", 10, wait=50)), daemon=True).start()
    while nodes[0].Get(lease_pb.GetRequest(resource="python/job"), timeout=PATIENCE).state.queue_length == 0:
        pass
    renewed = nodes[0].Renew(lease_pb.RenewRequest(tokens=[ann.token]), timeout=PATIENCE)
    assert renewed.results[0].claim.lease.token == ann.token
    print("renewed; one waits behind it")

    release = lease_pb.ReleaseRequest(resource="python/job", token=ann.token)
    assert nodes[0].Release(release, timeout=PATIENCE).was_held
    bob = granted.get(timeout=PATIENCE)
    assert bob.token > ann.token
    print("released; the waiter got token", bob.token)

    def write(token, sequence, value):
        put = store_pb.Put(key="owner", value=value)
        return store.Write(store_pb.WriteRequest(
            resource="python/job", token=token, sequence=sequence, mutations=[store_pb.Mutation(put=put)]),
            timeout=PATIENCE)

    assert write(bob.token, 1, b"bob").mark.token == bob.token
    code, info = refused(lambda: write(ann.token, 1, b"ann, late"))
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STALE_TOKEN"), (code, info)
    entry = store.Get(store_pb.GetRequest(resource="python/job", key="owner"), timeout=PATIENCE).entry
    assert entry.value == b"bob" and entry.token == bob.token
    print("wrote; a stale write was refused and changed nothing")

    code, info = refused(lambda: acquire(nodes[0], "", "ann", 30))
    assert (code, info.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "resource"), (code, info)

    kinds = [seen.get(timeout=PATIENCE).kind for _ in range(4)]
    assert kinds == [lease_pb.EVENT_KIND_GRANTED, lease_pb.EVENT_KIND_QUEUED,
                     lease_pb.EVENT_KIND_RELEASED, lease_pb.EVENT_KIND_GRANTED], kinds
    watch.cancel()
    print("watched: granted, queued, released, granted")

    for address, service in ((addresses[0], "leasehold.lease.v1.LeaseService"),
                             (os.environ["LEASEHOLD_STORE"], "leasehold.store.v1.StoreService")):
        services = ProtoReflectionDescriptorDatabase(grpc.insecure_channel(address)).get_services()
        assert service in services, services
    print("reflection lists both services")


main()
