"""Clusters of three nodes on loopback, each durable, each as shipped."""

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

from processes import Problem, Process, free_ports, output_of, talk, wait_until

ROOT = Path(__file__).resolve().parent.parent
NODES = 3
POSTGRES = Path("/usr/lib/postgresql/15/bin")


class Cluster:
    """Some nodes of a system. `endpoints` are where the load goes."""

    def __init__(self, folder):
        self.folder = folder / self.name
        self.folder.mkdir()
        self.processes, self.endpoints = [], []

    def stop(self):
        for process in self.processes:
            process.stop()

    def check(self):
        for process in self.processes:
            process.check()


def leasehold_command(given):
    """Where the command is: the one given, or one that is built now."""
    if given is None:
        if not shutil.which("cargo"):
            raise Problem("cargo is missing: install Rust from https://rustup.rs")
        build = ["cargo", "build", "--release", "--locked", "-p", "leasehold"]
        if subprocess.run(build, cwd=ROOT).returncode:
            raise Problem(f"{' '.join(build)} failed")
    command = ROOT / "target" / "release" / "leasehold" if given is None else given.resolve()
    if not os.access(command, os.X_OK):
        raise Problem(f"{command} cannot be run")
    return command


class Leasehold(Cluster):
    name = "leasehold"

    def __init__(self, folder, binary, built):
        super().__init__(folder)
        self.binary, self.built = binary, built

    def start(self):
        ports = free_ports(2 * NODES + 1)
        members = [(1 + at, ports[2 * at], ports[2 * at + 1]) for at in range(NODES)]
        tables = "".join(
            f'\n[[members]]\nnode_id = {node}\nclient_address = "127.0.0.1:{client}"\n'
            f'peer_address = "127.0.0.1:{peer}"\n' for node, client, peer in members)
        for node, client, peer in members:
            # Nothing but what has no default.
            self.config_of(node).write_text(
                f'cluster_id = "side-by-side"\nnode_id = {node}\ndata_dir = "{self.folder}/node-{node}"\n'
                f'client_listen = "127.0.0.1:{client}"\npeer_listen = "127.0.0.1:{peer}"\n{tables}')
            self.processes.append(self.start_node(node))
        config = self.folder / "store.toml"
        config.write_text(f'data_dir = "{self.folder}/store"\nlisten = "127.0.0.1:{ports[-1]}"\n')
        self.processes.append(Process("store", [self.binary, "store", "--config", config], self.folder))
        self.endpoints = [f"127.0.0.1:{client}" for _, client, _ in members]
        self.store = f"127.0.0.1:{ports[-1]}"
        self.wait_for_leader()

    def config_of(self, node):
        return self.folder / f"node-{node}.toml"

    def start_node(self, node):
        return Process(f"node-{node}", [self.binary, "server", "--config", self.config_of(node)], self.folder)

    def wait_for_leader(self):
        status = [str(self.binary), "--endpoints", ",".join(self.endpoints), "--store", self.store, "status"]
        wait_until("leasehold has no leader", self.processes,
                   lambda: subprocess.run(status, capture_output=True).returncode == 0)

    def version(self):
        if not self.built:
            return output_of(self.binary, "--version")
        revision = output_of("git", "-C", ROOT, "describe", "--always", "--dirty")
        return f"{output_of(self.binary, '--version')} ({revision})"


class Etcd(Cluster):
    name = "etcd"

    def start(self):
        ports = free_ports(2 * NODES)
        clients, peers = ports[:NODES], ports[NODES:]
        members = ",".join(f"n{at}=http://127.0.0.1:{peer}" for at, peer in enumerate(peers))
        for at in range(NODES):
            client, peer = (f"http://127.0.0.1:{port}" for port in (clients[at], peers[at]))
            self.processes.append(Process(f"etcd-{at}", [
                "etcd", "--name", f"n{at}", "--data-dir", self.folder / f"n{at}", "--log-level", "error",
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", members, "--initial-cluster-state", "new",
                # The most that its documentation recommends: nothing is compacted meanwhile.
                "--quota-backend-bytes", "8589934592",
            ], self.folder))
        self.clients = clients
        self.find_leader()

    def find_leader(self):
        def leader():
            for port in self.clients:
                request = urllib.request.Request(f"http://127.0.0.1:{port}/v3/maintenance/status", b"{}")
                with urllib.request.urlopen(request, timeout=2) as answer:
                    status = json.load(answer)
                if status["leader"] == status["header"]["member_id"]:
                    return port
            return None
        # As Leasehold's load does: whoever is not the leader would only pass it on.
        self.endpoints = [f"127.0.0.1:{wait_until('etcd has no leader', self.processes, leader)}"]

    def version(self):
        return output_of("etcd", "--version").splitlines()[0].replace("etcd Version:", "etcd")


class ZooKeeper(Cluster):
    name = "zookeeper"

    def start(self):
        ports = free_ports(3 * NODES)
        clients, peers, elections = ports[:NODES], ports[NODES:2 * NODES], ports[2 * NODES:]
        members = "".join(f"server.{at}=127.0.0.1:{peers[at]}:{elections[at]}\n" for at in range(NODES))
        for at in range(NODES):
            data, log = self.folder / f"data-{at}", self.folder / f"log-{at}"
            data.mkdir()
            log.mkdir()
            (data / "myid").write_text(f"{at}\n")
            config = self.folder / f"zoo-{at}.cfg"
            config.write_text(
                f"tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={data}\ndataLogDir={log}\n"
                f"clientPort={clients[at]}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\n"
                f"forceSync=yes\nadmin.enableServer=false\n4lw.commands.whitelist=srvr\n{members}")
            # The heap is that of its own start script.
            self.processes.append(Process(f"zookeeper-{at}", [
                "java", "-Xmx1000m", "-Djava.net.preferIPv4Stack=true",
                "-cp", "/etc/zookeeper/conf:/usr/share/java/zookeeper.jar",
                "-Dzookeeper.root.logger=WARN,CONSOLE",
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", config,
            ], self.folder))
        self.clients = clients
        self.find_leader()

    def find_leader(self):
        def leader():
            modes = {re.search(r"^Mode: (\w+)", talk(port, b"srvr"), re.MULTILINE).group(1): port
                     for port in self.clients}
            return modes.get("leader") if "follower" in modes else None

        def answering():
            try:
                return leader()
            except AttributeError:
                return None
        self.endpoints = [f"127.0.0.1:{wait_until('zookeeper has no leader', self.processes, answering)}"]

    def version(self):
        told = re.search(r"version: ([\d.]+)", talk(self.clients[0], b"srvr"))
        java = re.search(r'"([^"]+)"', output_of("java", "-version"))
        return f"ZooKeeper {told.group(1)} on Java {java.group(1)}"


class Redis(Cluster):
    name = "redis"

    def start(self):
        ports = free_ports(NODES)
        for at, port in enumerate(ports):
            data = self.folder / f"data-{at}"
            data.mkdir()
            # Without snapshots beside the log, which would add nothing to it here but work.
            self.processes.append(Process(f"redis-{at}", [
                "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", data, "--daemonize", "no",
                "--appendonly", "yes", "--appendfsync", "always", "--save", "",
            ], self.folder))
        self.endpoints = [f"127.0.0.1:{port}" for port in ports]
        wait_until("redis does not answer", self.processes,
                   lambda: all("PONG" in talk(port, b"PING\r\n") for port in ports))

    def version(self):
        return "Redis " + re.search(r"v=(\S+)", output_of("redis-server", "--version")).group(1)


class Postgres(Cluster):
    name = "postgres"

    def start(self):
        # It refuses to be root; Debian's package comes with a user for it.
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            shutil.chown(self.folder, user, user)
        data, port = self.folder / "data", free_ports(1)[0]
        making = Process("initdb", [
            POSTGRES / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8",
        ], self.folder, user)
        if making.child.wait():
            making.check()
        self.processes.append(Process("postgres", [
            POSTGRES / "postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1",
            "-c", "unix_socket_directories=", "-c", "fsync=on", "-c", "synchronous_commit=on",
            "-c", "max_connections=300",
        ], self.folder, user))
        self.endpoints = [f"127.0.0.1:{port}"]

        def ready():
            command = [str(POSTGRES / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
            return subprocess.run(command, capture_output=True).returncode == 0
        wait_until("postgres does not answer", self.processes, ready)

    def stop(self):
        for process in self.processes:
            # "Fast": whoever is connected is not waited for.
            process.stop(signal.SIGINT)

    def version(self):
        return re.sub(r".*\(PostgreSQL\) (\S+).*", r"PostgreSQL \1", output_of(POSTGRES / "postgres", "--version"))
