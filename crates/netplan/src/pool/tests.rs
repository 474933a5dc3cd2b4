//! Pools by example and by property.

use proptest::prelude::*;

use super::*;

fn net(text: &str) -> Ipv4Network {
    text.parse().unwrap()
}

fn pool(first: &str, count: u32) -> SubnetPool {
    SubnetPool::new(PoolConfig::parse(first, count).unwrap())
}

#[test]
fn the_lowest_free_subnet_is_given_first() {
    let mut pool = pool("20.0.0.0/24", 3);
    assert_eq!(pool.lease(), Ok(net("20.0.0.0/24")));
    assert_eq!(pool.lease(), Ok(net("20.0.1.0/24")));
    assert!(pool.free(net("20.0.0.0/24")));
    assert!(!pool.free(net("20.0.0.0/24")));
    assert_eq!(pool.lease(), Ok(net("20.0.0.0/24")));
    assert_eq!(pool.lease(), Ok(net("20.0.2.0/24")));
    let error = pool.lease().unwrap_err();
    assert_eq!(error, NetplanError::PoolExhausted { first: net("20.0.0.0/24"), count: 3, blocks: 1 });
}

#[test]
fn small_subnets_may_stand_in_larger_slots() {
    let config = PoolConfig::new("10.30.0.0".parse().unwrap(), 30, 24, 50).unwrap();
    let mut pool = SubnetPool::new(config);
    assert_eq!(pool.lease(), Ok(net("10.30.0.0/30")));
    assert_eq!(pool.lease(), Ok(net("10.30.1.0/30")));
    assert_eq!(pool.lease_for(5), Ok(net("10.30.2.0/29")));
    assert_eq!(pool.lease_for(300), Ok(net("10.30.4.0/23")));
    assert_eq!(pool.lease(), Ok(net("10.30.3.0/30")));
}

#[test]
fn larger_blocks_are_aligned_by_their_address() {
    let mut pool = pool("30.0.1.0/24", 8);
    assert_eq!(pool.lease_for(300), Ok(net("30.0.2.0/23")));
    assert_eq!(pool.lease_for(600), Ok(net("30.0.4.0/22")));
    assert_eq!(pool.lease(), Ok(net("30.0.1.0/24")));
    assert_eq!(pool.lease(), Ok(net("30.0.8.0/24")));
    assert!(matches!(pool.lease_for(300), Err(NetplanError::PoolExhausted { blocks: 2, .. })));
    assert!(pool.free(net("30.0.4.0/22")));
    assert_eq!(pool.lease(), Ok(net("30.0.4.0/24")));
    assert_eq!(pool.lease_for(usize::MAX), Err(NetplanError::TooManyMembers { members: usize::MAX }));
}

#[test]
fn what_is_in_use_already_is_taken_or_avoided() {
    let mut pool = pool("30.0.0.0/24", 8);
    assert!(pool.take(net("30.0.1.0/24")));
    assert!(!pool.take(net("30.0.0.0/23")), "overlaps a lease");
    assert!(!pool.take(net("40.0.0.0/24")), "outside");
    pool.avoid(net("30.0.0.0/22"));
    assert_eq!(pool.lease(), Ok(net("30.0.4.0/24")));
}

#[test]
fn definitions_that_make_no_sense_are_refused_with_the_reason() {
    for (first, count, reason) in [
        ("20.0.0.0", 1, "prefix length is missing"),
        ("20.0.0.1/24", 1, "first address"),
        ("20.0.0.0/24", 0, "at least 1"),
        ("255.255.255.0/24", 2, "beyond"),
        ("fd00::/64", 2, "IPv4"),
        ("0.0.0.0/0", 1, "1 to 32"),
    ] {
        let error = PoolConfig::parse(first, count).unwrap_err();
        assert!(error.to_string().contains(reason), "{first}: {error}");
    }
    assert!(PoolConfig::parse("255.255.255.0/24", 1).is_ok());
    assert!(PoolConfig::parse("0.0.0.0/1", 2).is_ok());
}

#[test]
fn definitions_and_states_can_be_stored() {
    let config = PoolConfig::new("10.30.0.0".parse().unwrap(), 30, 24, 50).unwrap();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(text, r#"{"base":"10.30.0.0","prefix":30,"slot_prefix":24,"count":50}"#);
    assert_eq!(serde_json::from_str::<PoolConfig>(&text).unwrap(), config);
    assert!(serde_json::from_str::<PoolConfig>(r#"{"base":"10.30.0.1","prefix":30,"count":1}"#).is_err());

    let mut pool = SubnetPool::new(config);
    pool.lease().unwrap();
    pool.lease_for(300).unwrap();
    let state: PoolState = serde_json::from_str(&serde_json::to_string(&pool.state()).unwrap()).unwrap();
    assert_eq!(SubnetPool::with_state(config, &state), pool);
}

#[derive(Debug, Clone)]
enum Op {
    Lease(usize),
    Free(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![(1_usize..2000).prop_map(Op::Lease), (0_usize..20).prop_map(Op::Free)];
    prop::collection::vec(op, 1..80)
}

fn overlap(a: Ipv4Network, b: Ipv4Network) -> bool {
    a.contains(b.network()) || b.contains(a.network())
}

proptest! {
    /// Whatever is leased and freed: leases never overlap, are aligned, lie in the pool, are the lowest that
    /// fit, and freeing all of them makes the pool new again.
    #[test]
    fn leases_never_overlap(base in 0_u32..64, count in 1_u32..64, ops in ops()) {
        let first = format!("30.0.{base}.0/24");
        let config = PoolConfig::parse(&first, count).unwrap();
        let mut pool = SubnetPool::new(config);
        let mut held: Vec<Ipv4Network> = Vec::new();
        let begin = u32::from(config.base);
        for op in ops {
            match op {
                Op::Lease(members) => match pool.lease_for(members) {
                    Ok(subnet) => {
                        prop_assert_eq!(subnet.ip(), subnet.network(), "aligned");
                        prop_assert!(u32::from(subnet.network()) >= begin);
                        prop_assert!(u32::from(subnet.broadcast()) < begin + count * 256);
                        prop_assert!(crate::host_capacity(subnet) as usize >= members);
                        prop_assert!(held.iter().all(|lease| !overlap(*lease, subnet)));
                        let lower = (begin..u32::from(subnet.network())).step_by(256).any(|address| {
                            let other = Ipv4Network::new(address.into(), subnet.prefix()).unwrap();
                            other.ip() == other.network() && held.iter().all(|lease| !overlap(*lease, other))
                        });
                        prop_assert!(!lower, "a lower block was free");
                        held.push(subnet);
                    }
                    Err(NetplanError::PoolExhausted { blocks, .. }) => {
                        let length = 24 - u8::try_from(blocks.ilog2()).unwrap();
                        let fits = (begin..begin + count * 256).step_by(256).any(|address| {
                            let other = Ipv4Network::new(address.into(), length).unwrap();
                            other.ip() == other.network()
                                && u32::from(other.broadcast()) < begin + count * 256
                                && held.iter().all(|lease| !overlap(*lease, other))
                        });
                        prop_assert!(!fits, "a block was free");
                    }
                    Err(other) => prop_assert!(false, "{}", other),
                },
                Op::Free(index) if index < held.len() => {
                    let subnet = held.remove(index);
                    prop_assert!(pool.free(subnet));
                }
                Op::Free(_) => {}
            }
            prop_assert_eq!(SubnetPool::with_state(config, &pool.state()), pool.clone());
        }
        for subnet in held {
            prop_assert!(pool.free(subnet));
        }
        prop_assert_eq!(pool, SubnetPool::new(config));
    }
}
