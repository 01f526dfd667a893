//! Addresses: where to listen, and where others reach a member.

use std::net::{Ipv6Addr, SocketAddr};

use leasehold_types::BadField;

/// An address to listen on: an IP address and a port.
pub(super) fn listen(field: &'static str, text: &str) -> Result<SocketAddr, BadField> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(address),
        _ => Err(BadField::new(
            field,
            format!("{text:?}"),
            "an IP address and a port of 1 to 65535, such as \"0.0.0.0:7100\" or \"[::]:7100\"",
        )),
    }
}

/// An address to connect to: `host:port`, where the host may be a name.
pub(super) fn reach(field: String, text: String) -> Result<String, BadField> {
    let good = text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port));
    match good {
        true => Ok(text),
        false => Err(BadField::new(
            field,
            format!("{text:?}"),
            "host:port without a scheme, port 1 to 65535, such as \"lease-1:7100\" or \"[::1]:7100\"",
        )),
    }
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=253).contains(&host.len()) && host.bytes().all(allowed)
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_address_is_an_ip_and_a_real_port() {
        assert!(listen("client_listen", "127.0.0.1:7100").is_ok());
        assert!(listen("client_listen", "[::1]:7100").is_ok());
        for bad in ["", "7100", "localhost:7100", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536"] {
            assert_eq!(listen("client_listen", bad).expect_err(bad).field, "client_listen");
        }
    }

    #[test]
    fn a_members_address_is_a_host_and_a_real_port() {
        let check = |text: &str| reach("members[0].peer_address".into(), text.into());
        for good in ["lease-1:7200", "127.0.0.1:1", "[::1]:65535", "a.b.example:7100"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            ":7100",
            "host",
            "host:0",
            "host:65536",
            "host:+1",
            "http://h:1",
            "::1:7100",
            "h h:1",
        ];
        for bad in bad {
            assert_eq!(check(bad).expect_err(bad).field, "members[0].peer_address");
        }
    }
}
