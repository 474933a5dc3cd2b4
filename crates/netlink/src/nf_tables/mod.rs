//! Packet filter and address translation: tables, chains and rules of nf_tables, for IPv4.
//!
//! Changes are sent as a [`Batch`], which the kernel carries out as a whole or not at all, between two packets.
//! Numbers come from linux/netfilter/nf_tables.h, nfnetlink.h, nf_nat.h and nf_conntrack_common.h.
//!
//! ```no_run
//! use llcm_netlink::Socket;
//! use llcm_netlink::nf_tables::{Base, Batch, Expression, Hook, Verdict};
//!
//! # fn main() -> Result<(), llcm_netlink::NetlinkError> {
//! // nft 'add table ip example; add chain ip example in { type filter hook input priority 0; };
//! //      add rule ip example in meta l4proto tcp tcp dport 23 drop'
//! let mut batch = Batch::default();
//! batch.add_table("example");
//! batch.add_chain("example", "in", Some(Base { kind: "filter", hook: Hook::Input, priority: 0 }));
//! let rule = [Expression::Protocol(6), Expression::DestinationPort(23), Expression::Verdict(Verdict::Drop)];
//! batch.add_rule("example", "in", &rule);
//! batch.commit(&mut Socket::open_netfilter()?)
//! # }
//! ```

mod expression;

pub use expression::{DESTINATION_NAT, Direction, ESTABLISHED, Expression, RELATED, Verdict};

use crate::socket::{NetlinkError, Socket};
use crate::wire::{APPEND, Attributes, CREATE, Request, read_text};

/// `NFNL_SUBSYS_NFTABLES`, the upper byte of a message's type.
const SUBSYSTEM: u16 = 10;
const NEWTABLE: u16 = SUBSYSTEM << 8;
const DELTABLE: u16 = SUBSYSTEM << 8 | 2;
const NEWCHAIN: u16 = SUBSYSTEM << 8 | 3;
const GETCHAIN: u16 = SUBSYSTEM << 8 | 4;
const DELCHAIN: u16 = SUBSYSTEM << 8 | 5;
const NEWRULE: u16 = SUBSYSTEM << 8 | 6;
const GETRULE: u16 = SUBSYSTEM << 8 | 7;
const DELRULE: u16 = SUBSYSTEM << 8 | 8;
/// `NFNL_MSG_BATCH_BEGIN`.
const BEGIN: u16 = 16;
/// `NFNL_MSG_BATCH_END`.
const END: u16 = 17;
/// `NFPROTO_IPV4`.
const IPV4: u8 = 2;
const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
/// `NF_DROP` as a chain's policy, `NF_INET_FORWARD` as its hook.
const DROPS: u32 = 0;
const FORWARD: u32 = 2;
const HOOK_HOOKNUM: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;
/// Length of `struct nfgenmsg`.
const NFGENMSG: usize = 4;

/// Where in the kernel a chain looks at packets (`NF_INET_...`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// As they come in, before it is decided where they go.
    Prerouting,
    /// Those for this machine.
    Input,
    /// Those that are passed on.
    Forward,
    /// Those that this machine sends.
    Output,
    /// As they leave.
    Postrouting,
}

impl Hook {
    fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Input => 1,
            Self::Forward => 2,
            Self::Output => 3,
            Self::Postrouting => 4,
        }
    }
}

/// What makes a chain see packets by itself; another one is only jumped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// `filter` or `nat`.
    pub kind: &'static str,
    /// Where.
    pub hook: Hook,
    /// Chains of one hook run from the lowest to the highest; connection tracking is at -200, translation of
    /// destinations at -100, of sources at 100 (linux/netfilter_ipv4.h).
    pub priority: i32,
}

/// Changes that are made together. Nothing happens before [`Batch::commit`].
#[derive(Debug, Clone, Default)]
pub struct Batch {
    requests: Vec<Request>,
}

impl Batch {
    /// Adds a table; one that is there is left.
    pub fn add_table(&mut self, table: &str) {
        self.request(NEWTABLE, CREATE).text(TABLE_NAME, table);
    }

    /// Deletes a table with all that is in it; it must be there.
    pub fn delete_table(&mut self, table: &str) {
        self.request(DELTABLE, 0).text(TABLE_NAME, table);
    }

    /// Adds a chain, whose packets go on where no rule says otherwise; the same one, if it is there, is left.
    pub fn add_chain(&mut self, table: &str, chain: &str, base: Option<Base>) {
        let request = self.request(NEWCHAIN, CREATE).text(CHAIN_TABLE, table).text(CHAIN_NAME, chain);
        if let Some(base) = base {
            request.nested(CHAIN_HOOK, |hook| {
                hook.be32(HOOK_HOOKNUM, base.hook.number());
                hook.bytes(HOOK_PRIORITY, &base.priority.to_be_bytes());
            });
            request.text(CHAIN_TYPE, base.kind);
        }
    }

    /// Deletes a chain, which must be there and empty.
    pub fn delete_chain(&mut self, table: &str, chain: &str) {
        self.request(DELCHAIN, 0).text(CHAIN_TABLE, table).text(CHAIN_NAME, chain);
    }

    /// Deletes all rules of a table; its chains stay, and so does what the kernel knows of connections.
    pub fn flush_rules(&mut self, table: &str) {
        self.request(DELRULE, 0).text(RULE_TABLE, table);
    }

    /// Adds a rule behind those of its chain.
    pub fn add_rule(&mut self, table: &str, chain: &str, expressions: &[Expression<'_>]) {
        let request = self.request(NEWRULE, CREATE | APPEND).text(RULE_TABLE, table).text(RULE_CHAIN, chain);
        request.nested(RULE_EXPRESSIONS, |list| {
            for expression in expressions {
                expression.write(list);
            }
        });
    }

    /// Adds a rule before those of its chain, which may be somebody else's; by its mark it is found again.
    pub fn insert_rule(&mut self, table: &str, chain: &str, expressions: &[Expression<'_>], mark: &str) {
        let request = self.request(NEWRULE, CREATE).text(RULE_TABLE, table).text(RULE_CHAIN, chain);
        request.nested(RULE_EXPRESSIONS, |list| {
            for expression in expressions {
                expression.write(list);
            }
        });
        // As `nft` writes a comment: type 0, length with the final zero.
        let mut comment = vec![0, u8::try_from(mark.len() + 1).unwrap_or(u8::MAX)];
        comment.extend(mark.bytes().take(usize::from(u8::MAX) - 1));
        comment.push(0);
        request.bytes(RULE_USERDATA, &comment);
    }

    /// Deletes one rule, which must be there.
    pub fn delete_rule(&mut self, rule: &MarkedRule) {
        let request = self.request(DELRULE, 0).text(RULE_TABLE, &rule.table).text(RULE_CHAIN, &rule.chain);
        request.bytes(RULE_HANDLE, &rule.handle.to_be_bytes());
    }

    /// Carries all of it out, or nothing.
    ///
    /// # Errors
    /// That of the first change that the kernel refused; `EMSGSIZE` for more than about ten thousand rules.
    pub fn commit(mut self, socket: &mut Socket) -> Result<(), NetlinkError> {
        let frame = |kind| {
            let mut request = Request::unacknowledged(kind, 0);
            // Family, version, and the subsystem that the batch is for.
            request.raw(&[0, 0]).raw(&SUBSYSTEM.to_be_bytes());
            request
        };
        let (begin, end) = (frame(BEGIN), frame(END));
        // One answer is enough: failures are told without being asked for.
        if let Some(last) = self.requests.last_mut() {
            last.ask_for_acknowledgement();
        }
        self.requests.insert(0, begin);
        self.requests.push(end);
        socket.batch(&mut self.requests)
    }

    fn request(&mut self, kind: u16, flags: u16) -> &mut Request {
        let mut request = Request::unacknowledged(kind, flags);
        request.raw(&[IPV4, 0, 0, 0]);
        self.requests.push(request);
        // It was pushed just now.
        let last = self.requests.len() - 1;
        &mut self.requests[last]
    }
}

/// All chains for IPv4 of the namespace, as table and name.
pub fn chains(socket: &mut Socket) -> Result<Vec<(String, String)>, NetlinkError> {
    let mut request = Request::dump(GETCHAIN);
    request.raw(&[IPV4, 0, 0, 0]);
    let parse = |payload: &[u8]| {
        let attributes = Attributes(payload.get(NFGENMSG..)?);
        Some((read_text(attributes.get(CHAIN_TABLE)?), read_text(attributes.get(CHAIN_NAME)?)))
    };
    let found = socket.dump(&mut request)?;
    Ok(found.iter().filter(|(kind, _)| *kind == NEWCHAIN).filter_map(|(_, p)| parse(p)).collect())
}

/// A rule that was added with [`Batch::insert_rule`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedRule {
    table: String,
    chain: String,
    handle: u64,
    /// Its mark.
    pub mark: String,
}

/// All rules for IPv4 of the namespace that have a mark, whoever made them.
pub fn marked_rules(socket: &mut Socket) -> Result<Vec<MarkedRule>, NetlinkError> {
    let mut request = Request::dump(GETRULE);
    request.raw(&[IPV4, 0, 0, 0]);
    let parse = |payload: &[u8]| {
        let attributes = Attributes(payload.get(NFGENMSG..)?);
        let comment = attributes.get(RULE_USERDATA)?;
        let text = comment.get(2..).filter(|_| comment.first() == Some(&0))?;
        Some(MarkedRule {
            table: read_text(attributes.get(RULE_TABLE)?),
            chain: read_text(attributes.get(RULE_CHAIN)?),
            handle: u64::from_be_bytes(attributes.get(RULE_HANDLE)?.try_into().ok()?),
            mark: read_text(text),
        })
    };
    let found = socket.dump(&mut request)?;
    Ok(found.iter().filter(|(kind, _)| *kind == NEWRULE).filter_map(|(_, p)| parse(p)).collect())
}

/// The chains for IPv4 of the namespace, as table and name, that drop what is passed on unless a rule accepts it.
pub fn chains_that_drop_forwarded(socket: &mut Socket) -> Result<Vec<(String, String)>, NetlinkError> {
    let mut request = Request::dump(GETCHAIN);
    request.raw(&[IPV4, 0, 0, 0]);
    let parse = |payload: &[u8]| {
        let attributes = Attributes(payload.get(NFGENMSG..)?);
        let number = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.try_into().ok()?));
        let hook = number(Attributes(attributes.get(CHAIN_HOOK)?).get(HOOK_HOOKNUM)?)?;
        let policy = number(attributes.get(CHAIN_POLICY)?)?;
        let named = (read_text(attributes.get(CHAIN_TABLE)?), read_text(attributes.get(CHAIN_NAME)?));
        (hook == FORWARD && policy == DROPS).then_some(named)
    };
    let found = socket.dump(&mut request)?;
    Ok(found.iter().filter(|(kind, _)| *kind == NEWCHAIN).filter_map(|(_, p)| parse(p)).collect())
}
