//! A thread that moves the frames of some links.
//!
//! It sleeps in one epoll until a frame comes, the next one is due (a timerfd, which is exact to the kernel's high
//! resolution timers, unlike the timeout of epoll), or it is told something.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use llcm_tap::LARGEST;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

use crate::Impairment;
use crate::budget::Budget;
use crate::error::{Context as _, LineError};
use crate::handle::{Answer, Command, Handle};
use crate::line::{Line, Offer};
use crate::link::{Link, Taps};
use crate::vigil::Vigil;

/// Frames that are read from one device before others have their turn.
const TURN: usize = 64;
/// What events of the timer and of the bell carry; those of devices carry a number of their own.
const TIMER: u64 = u64::MAX;
const BELL: u64 = u64::MAX - 1;

/// What a worker shares with others.
pub(crate) struct Around {
    /// The memory that frames of all workers may take.
    pub(crate) budget: Arc<Budget>,
    /// Is called with the names and tokens of links whose devices have gone.
    pub(crate) gone: Box<Gone>,
    /// Takes devices that are to be closed.
    pub(crate) close: Box<dyn Fn(Taps) + Send>,
}

/// Takes the name and the token of a link.
type Gone = dyn Fn(&str, u64) + Send;

/// Starts a worker.
pub(crate) fn start(around: Around) -> Result<Handle, LineError> {
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).during("make eventfd")?);
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
        .during("make timerfd")?;
    let events = epoll::create(epoll::CreateFlags::CLOEXEC).during("make epoll")?;
    for (fd, number) in [(timer.as_fd(), TIMER), (bell.as_fd(), BELL)] {
        epoll::add(&events, fd, epoll::EventData::new_u64(number), epoll::EventFlags::IN).during("watch")?;
    }
    let (sender, commands) = channel();
    let mut worker = Worker {
        commands,
        bell: bell.clone(),
        timer,
        events,
        origin: Instant::now(),
        links: BTreeMap::new(),
        numbers: BTreeMap::new(),
        next: 0,
        due: BTreeSet::new(),
        armed: None,
        vigil: Vigil::default(),
        around,
    };
    let run = move || {
        take_precedence();
        if let Err(error) = worker.run() {
            log::error!("the delay line ended: {error}");
        }
    };
    let thread =
        std::thread::Builder::new().name("delay-line".to_owned()).spawn(run).during("start thread")?;
    Ok(Handle { commands: sender, bell, thread: Some(thread) })
}

/// Frames wait for this thread: it runs before all others, as a thread of the kernel that delays them would. A usual thread
/// waits for the others' turns to end, milliseconds each on a busy host, whatever its niceness.
fn take_precedence() {
    if let Err(error) = run_first() {
        log::info!("without real-time priority (CAP_SYS_NICE) delays are longer on a busy host: {error}");
        if let Err(error) = rustix::process::setpriority_process(None, -20) {
            log::debug!("nor is the delay line favoured at all: {error}");
        }
    }
}

fn run_first() -> io::Result<()> {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let set = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
    set.map_err(|error| io::Error::other(format!("{error:?}")))
}

/// Tries whether the threads that move frames may run before others, as they do where they are let: on a busy host delays
/// are exact only then.
///
/// # Errors
/// Why not: without `CAP_SYS_NICE`, for instance.
pub fn try_precedence() -> Result<(), LineError> {
    let tried =
        std::thread::Builder::new().name("trial".to_owned()).spawn(run_first).during("start thread")?;
    let tried = tried.join().unwrap_or_else(|_| Err(io::Error::other("the trial panicked")));
    tried.during("real-time priority")
}

struct Worker {
    commands: Receiver<(Command, Sender<Answer>)>,
    bell: Arc<OwnedFd>,
    timer: OwnedFd,
    events: OwnedFd,
    origin: Instant,
    links: BTreeMap<u64, Link>,
    numbers: BTreeMap<String, u64>,
    next: u64,
    /// When which direction has something to deliver.
    due: BTreeSet<(Duration, Port)>,
    /// What the timer is set to.
    armed: Option<Duration>,
    vigil: Vigil,
    around: Around,
}

/// A link's number, and the end by which frames came in.
type Port = (u64, usize);

impl Worker {
    fn run(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; LARGEST];
        let mut ready = Vec::with_capacity(256);
        loop {
            let slept = self.wait(&mut ready)?;
            let woken = self.now();
            for event in ready.drain(..) {
                match event.data.u64() {
                    TIMER => self.expired(woken),
                    BELL => {
                        if !self.obey()? {
                            return Ok(());
                        }
                    }
                    port => self.read(port_of(port), &mut buffer, slept),
                }
            }
            self.deliver();
        }
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Waits for something to do; true when it slept for it. What is due within moments is waited for awake: to be
    /// woken takes longer.
    fn wait(&mut self, ready: &mut Vec<epoll::Event>) -> io::Result<bool> {
        let due = self.due.first().map(|(at, _)| *at);
        let nothing = Timespec { tv_sec: 0, tv_nsec: 0 };
        let began = self.now();
        let early = self.vigil.before(began);
        loop {
            let awake = due.is_some_and(|at| at <= self.now() + early);
            if !awake {
                self.arm(due.map(|at| at.saturating_sub(early)))?;
            }
            let timeout = awake.then_some(&nothing);
            match epoll::wait(&self.events, rustix::buffer::spare_capacity(ready), timeout) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !awake {
                return Ok(true);
            }
            let now = self.now();
            if !ready.is_empty() || due.is_some_and(|at| at <= now) {
                self.vigil.spent(now.saturating_sub(began));
                return Ok(false);
            }
            std::hint::spin_loop();
        }
    }

    /// Sets the timer, if it is not set so.
    fn arm(&mut self, at: Option<Duration>) -> io::Result<()> {
        if self.armed == at {
            return Ok(());
        }
        self.armed = at;
        // Zero would switch it off.
        let left = at.map_or(Duration::ZERO, |at| at.saturating_sub(self.now()).max(Duration::from_nanos(1)));
        let value = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// The timer woke us: how late is it?
    fn expired(&mut self, woken: Duration) {
        let mut count = [0; 8];
        let expired = rustix::io::read(&self.timer, &mut count).is_ok();
        if let Some(armed) = self.armed.take()
            && expired
        {
            self.vigil.was_late(woken.saturating_sub(armed));
        }
    }

    /// Does what it was told; false when it is to end.
    fn obey(&mut self) -> io::Result<bool> {
        let mut count = [0; 8];
        match rustix::io::read(&*self.bell, &mut count) {
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        loop {
            let (command, answer) = match self.commands.try_recv() {
                Ok(received) => received,
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => return Ok(false),
            };
            let mut views = Vec::new();
            let done = match command {
                Command::Put { name, token, taps, impairments } => self.put(name, token, taps, impairments),
                Command::Set { name, impairments } => self.set(&name, impairments),
                Command::Remove { name } => {
                    self.remove(&name);
                    Ok(())
                }
                Command::View => {
                    views.extend(self.links.values().map(Link::view));
                    Ok(())
                }
            };
            // Who asked may have lost patience.
            let _ = answer.send(done.map(|()| views));
        }
    }

    fn put(&mut self, name: String, token: u64, taps: Taps, impairments: [Impairment; 2]) -> io::Result<()> {
        self.remove(&name);
        let number = self.next;
        self.next += 1;
        for (end, tap) in taps.iter().enumerate() {
            let data = epoll::EventData::new_u64(number_of((number, end)));
            epoll::add(&self.events, tap, data, epoll::EventFlags::IN)?;
        }
        self.numbers.insert(name.clone(), number);
        let lines = impairments.map(|it| Line::new(it, fastrand::u64(..)));
        self.links.insert(number, Link { name, token, taps, lines, scheduled: [None, None] });
        Ok(())
    }

    fn set(&mut self, name: &str, impairments: [Impairment; 2]) -> io::Result<()> {
        let number = self.numbers.get(name).copied();
        let link = number.and_then(|number| Some((number, self.links.get_mut(&number)?)));
        let (number, link) = link.ok_or(io::ErrorKind::NotFound)?;
        for (end, impairment) in impairments.into_iter().enumerate() {
            link.lines[end].set(impairment);
            schedule(&mut self.due, number, end, link);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) {
        let Some(number) = self.numbers.remove(name) else { return };
        if let Some(link) = self.links.remove(&number) {
            for tap in &*link.taps {
                // Closing would do, if nobody else had the descriptor; one whose device has gone may refuse.
                if let Err(error) = epoll::delete(&self.events, tap) {
                    log::debug!("link {name}: {error}");
                }
            }
            for (end, at) in link.scheduled.into_iter().enumerate() {
                if let Some(at) = at {
                    self.due.remove(&(at, (number, end)));
                }
                self.around.budget.moved(link.lines[end].memory(), 0);
            }
            (self.around.close)(link.taps);
        }
    }

    /// Takes what a device has sent. What woke us up has been there for as long as waking up takes.
    fn read(&mut self, (number, end): Port, buffer: &mut [u8], slept: bool) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let lateness = if slept { self.vigil.waking() } else { Duration::ZERO };
        let line = &mut link.lines[end];
        let before = line.memory();
        for _ in 0..TURN {
            let length = match link.taps[end].read(buffer) {
                Ok(length) => length,
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::AGAIN) => break,
                    Some(Errno::INTR) => continue,
                    // A frame that is too large for what the device may give since a moment; the next one is not.
                    Some(Errno::INVAL) => {
                        line.refused();
                        continue;
                    }
                    _ => {
                        log::info!("link {} has gone: {error}", link.name);
                        self.around.budget.moved(before, line.memory());
                        let (name, token) = (link.name.clone(), link.token);
                        self.remove(&name);
                        (self.around.gone)(&name, token);
                        return;
                    }
                },
            };
            let Some(frame) = buffer.get(..length) else { break };
            if self.around.budget.is_spent() && line.is_delayed() {
                line.turn_away(frame);
                continue;
            }
            let arrived = self.origin.elapsed().saturating_sub(lateness);
            if line.offer(frame, arrived) == Offer::Now && link.taps[1 - end].write(frame).is_err() {
                line.refused();
            }
        }
        self.around.budget.moved(before, line.memory());
        schedule(&mut self.due, number, end, link);
    }

    /// Delivers all that is due.
    fn deliver(&mut self) {
        loop {
            let now = self.now();
            let Some((at, (number, end))) = self.due.first().copied() else { return };
            if at > now {
                return;
            }
            let Some(link) = self.links.get_mut(&number) else {
                self.due.pop_first();
                continue;
            };
            let line = &mut link.lines[end];
            let before = line.memory();
            // Not more than its turn, as long as frames come faster than they can be delivered.
            for _ in 0..TURN {
                let Some(frame) = line.take(now) else { break };
                if link.taps[1 - end].write(&frame).is_err() {
                    line.refused();
                }
            }
            self.around.budget.moved(before, line.memory());
            schedule(&mut self.due, number, end, link);
        }
    }
}

/// Notes when a direction has something to deliver next.
fn schedule(due: &mut BTreeSet<(Duration, Port)>, number: u64, end: usize, link: &mut Link) {
    let next = link.lines[end].due();
    if link.scheduled[end] == next {
        return;
    }
    if let Some(at) = link.scheduled[end] {
        due.remove(&(at, (number, end)));
    }
    if let Some(at) = next {
        due.insert((at, (number, end)));
    }
    link.scheduled[end] = next;
}

fn number_of((number, end): Port) -> u64 {
    number << 1 | u64::from(end == 1)
}

fn port_of(number: u64) -> Port {
    (number >> 1, usize::from(number & 1 == 1))
}
