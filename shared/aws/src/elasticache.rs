//! The status of a cache as `ElastiCache` describes it. Built ahead: health checks will be its first caller.

use std::time::Duration;

use aws_sdk_elasticache::Client;
use aws_sdk_elasticache::operation::describe_replication_groups::DescribeReplicationGroupsError;
use aws_sdk_elasticache::types::{
    AutomaticFailoverStatus, Endpoint, NodeGroup, NodeGroupMember, ReplicationGroup,
};
use equilibrium_app::health::cache_status::{Address, CacheState, CacheStatus, Node, Role, Shard};
use equilibrium_app::unavailable::Unavailable;
use tokio::time::timeout;

/// The status of the replication group `id` (`DescribeReplicationGroups`, Amazon `ElastiCache` API
/// reference), read within `deadline`; `None` if the group does not exist.
///
/// # Errors
/// [`Unavailable`].
pub async fn cache_status(
    client: &Client,
    id: &str,
    deadline: Duration,
) -> Result<Option<CacheStatus>, Unavailable> {
    let call = client.describe_replication_groups().replication_group_id(id).send();
    let described = match timeout(deadline, call).await.map_err(|_| Unavailable)? {
        Ok(described) => described,
        Err(error) => {
            let is_not_found = error
                .as_service_error()
                .is_some_and(DescribeReplicationGroupsError::is_replication_group_not_found_fault);
            return if is_not_found { Ok(None) } else { Err(Unavailable) };
        }
    };
    let mut groups = described.replication_groups().iter();
    Ok(groups.find(|group| group.replication_group_id() == Some(id)).map(read))
}

fn read(group: &ReplicationGroup) -> CacheStatus {
    let mut shards: Vec<Shard> = group.node_groups().iter().map(shard).collect();
    shards.sort_by(|one, other| one.name.cmp(&other.name));
    CacheStatus {
        state: state(group.status()),
        configuration: group.configuration_endpoint().and_then(address),
        fails_over: group.automatic_failover() == Some(&AutomaticFailoverStatus::Enabled),
        shards,
    }
}

fn shard(group: &NodeGroup) -> Shard {
    let mut nodes: Vec<Node> = group.node_group_members().iter().map(node).collect();
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    Shard {
        name: group.node_group_id().unwrap_or_default().to_owned(),
        state: state(group.status()),
        primary: group.primary_endpoint().and_then(address),
        reader: group.reader_endpoint().and_then(address),
        nodes,
    }
}

fn node(member: &NodeGroupMember) -> Node {
    Node {
        name: member.cache_cluster_id().unwrap_or_default().to_owned(),
        zone: member.preferred_availability_zone().map(str::to_owned),
        role: member.current_role().and_then(|role| match role {
            "primary" => Some(Role::Primary),
            "replica" => Some(Role::Replica),
            _ => None,
        }),
        address: member.read_endpoint().and_then(address),
    }
}

fn state(status: Option<&str>) -> CacheState {
    match status.unwrap_or_default() {
        "available" => CacheState::Available,
        "modifying" => CacheState::Modifying,
        "snapshotting" => CacheState::Snapshotting,
        "creating" => CacheState::Creating,
        "create-failed" => CacheState::CreateFailed,
        "deleting" => CacheState::Deleting,
        other => CacheState::Other(other.to_owned()),
    }
}

/// `None` if the host or the port is missing, as while a group is being created.
fn address(endpoint: &Endpoint) -> Option<Address> {
    let host = endpoint.address().filter(|host| !host.is_empty())?.to_owned();
    let port = u16::try_from(endpoint.port()?).ok().filter(|port| *port > 0)?;
    Some(Address { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str) -> Endpoint {
        Endpoint::builder().address(host).port(6379).build()
    }

    fn at(host: &str) -> Address {
        Address { host: host.to_owned(), port: 6379 }
    }

    fn member(name: &str, role: Option<&str>) -> NodeGroupMember {
        NodeGroupMember::builder()
            .cache_cluster_id(name)
            .preferred_availability_zone("us-east-1a")
            .set_current_role(role.map(str::to_owned))
            .set_read_endpoint(role.map(|_| endpoint(name)))
            .build()
    }

    #[test]
    fn a_group_of_one_shard_has_a_primary_and_a_replica() {
        let shard = NodeGroup::builder()
            .node_group_id("0001")
            .status("available")
            .primary_endpoint(endpoint("primary"))
            .reader_endpoint(endpoint("reader"))
            .node_group_members(member("surge-002", Some("replica")))
            .node_group_members(member("surge-001", Some("primary")))
            .build();
        let group = ReplicationGroup::builder()
            .status("modifying")
            .automatic_failover(AutomaticFailoverStatus::Enabled)
            .node_groups(shard)
            .build();
        let node = |name: &str, role| Node {
            name: name.to_owned(),
            zone: Some("us-east-1a".to_owned()),
            role: Some(role),
            address: Some(at(name)),
        };
        let status = read(&group);
        let expected = CacheStatus {
            state: CacheState::Modifying,
            configuration: None,
            fails_over: true,
            shards: vec![Shard {
                name: "0001".to_owned(),
                state: CacheState::Available,
                primary: Some(at("primary")),
                reader: Some(at("reader")),
                nodes: vec![node("surge-001", Role::Primary), node("surge-002", Role::Replica)],
            }],
        };
        assert_eq!(status, expected);
        assert!(status.serves());
    }

    #[test]
    fn a_cluster_has_a_configuration_endpoint_and_sorted_shards() {
        let shard = |name: &str, status: &str| {
            let node = member(&format!("surge-{name}-001"), None);
            NodeGroup::builder().node_group_id(name).status(status).node_group_members(node).build()
        };
        let group = |second| {
            ReplicationGroup::builder()
                .status("available")
                .automatic_failover(AutomaticFailoverStatus::Disabling)
                .configuration_endpoint(endpoint("configuration"))
                .node_groups(shard("0002", second))
                .node_groups(shard("0001", "available"))
                .build()
        };
        let status = read(&group("available"));
        assert_eq!(status.configuration, Some(at("configuration")));
        assert!(!status.fails_over);
        let names: Vec<_> = status.shards.iter().map(|shard| shard.name.as_str()).collect();
        assert_eq!(names, ["0001", "0002"]);
        assert_eq!((status.shards[0].nodes[0].role, &status.shards[0].nodes[0].address), (None, &None));
        assert!(status.serves());
        assert!(!read(&group("creating")).serves(), "one shard is being created");
    }

    #[test]
    fn an_incomplete_or_unknown_group_does_not_serve() {
        let nothing = read(&ReplicationGroup::builder().build());
        assert_eq!(nothing.state, CacheState::Other(String::new()));
        assert!(!nothing.serves());
        for status in ["creating", "create-failed", "deleting", "rebooting"] {
            assert!(!state(Some(status)).serves(), "{status}");
        }
        let empty = read(&ReplicationGroup::builder().status("available").build());
        assert!(!empty.serves(), "there are no shards");
        for (host, port) in [("", 6379), ("cache", 0), ("cache", -1), ("cache", 70_000)] {
            assert_eq!(address(&Endpoint::builder().address(host).port(port).build()), None);
        }
    }

    #[tokio::test]
    async fn a_service_that_does_not_answer_is_unavailable_within_the_deadline() {
        use aws_sdk_elasticache::config::{BehaviorVersion, Config, Credentials, Region};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
            .endpoint_url(format!("http://{}", listener.local_addr().unwrap()))
            .build();
        let began = std::time::Instant::now();
        let status = cache_status(&Client::from_conf(config), "surge", Duration::from_millis(200)).await;
        assert_eq!(status, Err(Unavailable));
        assert!(began.elapsed() < Duration::from_secs(2));
    }
}
