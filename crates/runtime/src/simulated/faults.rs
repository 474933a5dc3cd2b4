//! Which call of which operation fails, how, and when.

use serde::{Deserialize, Serialize};

use crate::{EngineId, ErrorKind};

/// An operation of a driver, as scripts and call records name it (`ensure-image`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `ContainerDriver::info`; its target is the engine.
    Info,
    /// `ContainerDriver::ensure_image`; its target is the reference.
    EnsureImage,
    /// `ContainerDriver::build_image`; its target is the tag.
    BuildImage,
    /// `ContainerDriver::create`; as in all operations on containers the target is the name in the engine.
    Create,
    /// `ContainerDriver::start`.
    Start,
    /// `ContainerDriver::stop`.
    Stop,
    /// `ContainerDriver::remove`.
    Remove,
    /// `ContainerDriver::inspect`.
    Inspect,
    /// `ContainerDriver::list_owned`; its target is the installation.
    ListContainers,
    /// `ContainerDriver::taken`; its target is the installation.
    Taken,
    /// `ContainerDriver::check`.
    Check,
    /// `ContainerDriver::cleanup`; its target is the installation.
    Cleanup,
    /// `Exec::exec`.
    Exec,
    /// `Logs::logs`.
    Logs,
    /// `NetworkDriver::host_side`; its target is the installation.
    HostSide,
    /// `NetworkDriver::prepare`; its target is the installation.
    Prepare,
    /// `NetworkDriver::ensure_segment`; its target is the segment's number.
    EnsureSegment,
    /// `NetworkDriver::attach`; its target is `container/interface`.
    Attach,
    /// `NetworkDriver::detach`; its target is the port's number.
    Detach,
    /// `NetworkDriver::set_port`; its target is the port's number.
    SetPort,
    /// `NetworkDriver::remove_segment`; its target is the segment's number.
    RemoveSegment,
    /// `NetworkDriver::remove_instance`; its target is the instance.
    RemoveInstance,
    /// `NetworkDriver::list_owned`; its target is the installation.
    ListNetwork,
    /// `NetworkDriver::links`; its target is the installation.
    Links,
    /// `Chains::ensure_chain`; its target is the chain's number.
    EnsureChain,
    /// `Chains::remove_chain`; its target is the chain's number.
    RemoveChain,
    /// `NetworkDriver::teardown`; its target is the installation.
    Teardown,
    /// `Counters::ports` and `Counters::links`; its target is the instance, or `links`.
    Counters,
    /// `Capture::capture`; its target is the port's number, or the link.
    Capture,
}

impl Operation {
    /// The operation in the words of error messages.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Info => "ask engine",
            Self::EnsureImage => "fetch image",
            Self::BuildImage => "build image",
            Self::Create => "create container",
            Self::Start => "start container",
            Self::Stop => "stop container",
            Self::Remove => "remove container",
            Self::Inspect => "inspect container",
            Self::ListContainers => "list containers",
            Self::Taken => "ask what is taken",
            Self::Check => "check container",
            Self::Cleanup => "clean up",
            Self::Exec => "run command in container",
            Self::Logs => "read output of container",
            Self::HostSide => "ask about the host's side",
            Self::Prepare => "prepare data centers",
            Self::EnsureSegment => "create segment",
            Self::Attach => "attach interface",
            Self::Detach => "detach port",
            Self::SetPort => "set port",
            Self::RemoveSegment => "remove segment",
            Self::RemoveInstance => "remove network of instance",
            Self::ListNetwork => "list network objects",
            Self::Links => "list links",
            Self::EnsureChain => "make chain",
            Self::RemoveChain => "remove chain",
            Self::Teardown => "remove data centers",
            Self::Counters => "read counters of",
            Self::Capture => "capture at",
        }
    }
}

/// A scripted fault. Calls that match `operation` and `target` are counted from 1; those numbered `call` to
/// `call + times - 1` are hit.
///
/// ```
/// use llcm_runtime::ErrorKind;
/// use llcm_runtime::simulated::{Fault, Operation};
///
/// // The second container that is started: it does start, and the engine's answer is lost.
/// let fault = Fault::fail(Operation::Start).on_call(2).after().kind(ErrorKind::Unavailable);
/// // Interfaces of one VNF never come up.
/// let stuck = Fault::hang(Operation::Attach).target("mn.vnf1.*");
/// # assert_eq!((fault.call, stuck.call), (2, 1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The operation; `None`: any.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// The container engine that it is a call of; `None`: any, or the network.
    #[serde(default)]
    pub engine: Option<EngineId>,
    /// What it is done to; `*` stands for any text.
    #[serde(default = "anything")]
    pub target: String,
    /// The first matching call that is hit, from 1.
    #[serde(default = "one")]
    pub call: u64,
    /// How many calls are hit from there on.
    #[serde(default = "one")]
    pub times: u64,
    /// Whether the operation has had its effect when it fails.
    #[serde(default)]
    pub when: When,
    /// What happens.
    #[serde(default)]
    pub action: Action,
    /// The error's kind.
    #[serde(default = "failed")]
    pub kind: ErrorKind,
    /// The error's message.
    #[serde(default = "scripted")]
    pub message: String,
}

/// Before or after an operation's effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Nothing has been done.
    #[default]
    Before,
    /// All has been done; only the answer is missing.
    After,
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The call returns an error.
    #[default]
    Fail,
    /// The call never returns.
    Hang,
}

fn anything() -> String {
    "*".to_owned()
}

const fn one() -> u64 {
    1
}

const fn failed() -> ErrorKind {
    ErrorKind::Failed
}

fn scripted() -> String {
    "fault asked for by the script of the simulation".to_owned()
}

impl Fault {
    /// The first call of the operation fails with [`ErrorKind::Failed`], nothing done.
    #[must_use]
    pub fn fail(operation: Operation) -> Self {
        Self { operation: Some(operation), ..Self::fail_any() }
    }

    /// The first call of whatever operation fails.
    #[must_use]
    pub fn fail_any() -> Self {
        Self {
            operation: None,
            engine: None,
            target: anything(),
            call: 1,
            times: 1,
            when: When::Before,
            action: Action::Fail,
            kind: failed(),
            message: scripted(),
        }
    }

    /// The first call of the operation never returns, nothing done.
    #[must_use]
    pub fn hang(operation: Operation) -> Self {
        Self { action: Action::Hang, ..Self::fail(operation) }
    }

    /// Only calls of this container engine count.
    #[must_use]
    pub fn engine(mut self, engine: &str) -> Self {
        self.engine = Some(EngineId::new(engine));
        self
    }

    /// Only calls on this target count; `*` stands for any text.
    #[must_use]
    pub fn target(mut self, pattern: &str) -> Self {
        pattern.clone_into(&mut self.target);
        self
    }

    /// The first call that is hit, from 1.
    #[must_use]
    pub const fn on_call(mut self, call: u64) -> Self {
        self.call = call;
        self
    }

    /// This many calls in a row are hit.
    #[must_use]
    pub const fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// The first call and all later ones are hit.
    #[must_use]
    pub const fn always(mut self) -> Self {
        self.times = u64::MAX;
        self
    }

    /// The operation has had its effect.
    #[must_use]
    pub const fn after(mut self) -> Self {
        self.when = When::After;
        self
    }

    /// The kind of the error.
    #[must_use]
    pub const fn kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The text of the error.
    #[must_use]
    pub fn message(mut self, message: &str) -> Self {
        message.clone_into(&mut self.message);
        self
    }

    pub(super) fn matches(&self, engine: Option<&EngineId>, operation: Operation, target: &str) -> bool {
        self.operation.is_none_or(|wanted| wanted == operation)
            && self.engine.as_ref().is_none_or(|wanted| Some(wanted) == engine)
            && glob(&self.target, target)
    }

    /// Whether the `count`th matching call is hit.
    pub(super) const fn hits(&self, count: u64) -> bool {
        count >= self.call && count - self.call < self.times
    }
}

/// Whether `pattern`, in which `*` stands for any text, describes the whole of `text`.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return text.ends_with(piece);
        }
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_describe_the_whole_text() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("mn.vnf0", "mn.vnf0", true),
            ("mn.vnf0", "mn.vnf01", false),
            ("mn.*", "mn.vnf0", true),
            ("*vnf*/eth0", "mn.vnf0/eth0", true),
            ("*vnf*/eth0", "mn.vnf0/eth01", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_fault_hits_from_its_call_on_as_often_as_told() {
        let fault = Fault::fail(Operation::Start).on_call(2).times(2);
        assert_eq!([1, 2, 3, 4].map(|count| fault.hits(count)), [false, true, true, false]);
        assert!(Fault::fail(Operation::Start).always().hits(u64::MAX));
        assert!(fault.matches(None, Operation::Start, "mn.x"));
        assert!(!fault.matches(None, Operation::Stop, "mn.x"));
        assert!(Fault::fail_any().matches(None, Operation::Stop, "mn.x"));
        let (one, other) = (EngineId::new("one"), EngineId::new("other"));
        let fault = fault.engine("one");
        assert!(fault.matches(Some(&one), Operation::Start, "mn.x"));
        assert!(!fault.matches(Some(&other), Operation::Start, "mn.x"));
        assert!(!fault.matches(None, Operation::Start, "mn.x"));
    }
}
