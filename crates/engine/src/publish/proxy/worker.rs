//! The proxy's thread: waits for sockets and moves what they have.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::process::{Resource, getrlimit};

use super::target::Target;
use super::tcp::{Connection, Next};
use super::udp::{Client, IDLE, Passed, Port, TURN};
use super::{Command, Listening};

/// At most so many connections and UDP clients of each kind. Further TCP clients wait to be accepted, and of UDP
/// clients the one that was silent longest makes room.
const MOST: usize = 1024;

/// The token of the descriptor that announces commands.
const WAKE: u64 = 0;

/// After the system has refused a descriptor, accepting is tried again so much later.
const PAUSE: Duration = Duration::from_millis(200);

/// How often silent UDP clients are looked for.
const SWEEP: Duration = Duration::from_secs(5);

pub(super) struct Worker {
    epoll: OwnedFd,
    commands: Receiver<Command>,
    wake: Arc<OwnedFd>,
    entries: BTreeMap<u64, Entry>,
    next_token: u64,
    /// Connections that had their turn and are not done.
    again: BTreeSet<u64>,
    connections: usize,
    clients: usize,
    most: usize,
    /// Nothing is accepted: since when.
    paused: Option<Instant>,
    swept: Instant,
    scratch: Vec<u8>,
}

struct Entry {
    container: Arc<str>,
    target: Arc<Target>,
    socket: Socket,
}

enum Socket {
    Listener(TcpListener, u16),
    Connection(Connection),
    Port(Port),
    Client(Client),
}

impl Worker {
    pub(super) fn new(commands: Receiver<Command>, wake: Arc<OwnedFd>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &*wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        // A connection has two descriptors; half of what this program may have is left to the rest of it.
        let allowed = getrlimit(Resource::Nofile).current.and_then(|it| usize::try_from(it / 6).ok());
        Ok(Self {
            epoll,
            commands,
            wake,
            entries: BTreeMap::new(),
            next_token: WAKE + 1,
            again: BTreeSet::new(),
            connections: 0,
            clients: 0,
            most: allowed.map_or(MOST, |allowed| allowed.clamp(1, MOST)),
            paused: None,
            swept: Instant::now(),
            scratch: vec![0; 64 << 10],
        })
    }

    pub(super) fn run(mut self) {
        let mut events: Vec<Event> = Vec::with_capacity(256);
        loop {
            events.clear();
            let timeout = self.timeout().and_then(|it| Timespec::try_from(it).ok());
            let buffer = rustix::buffer::spare_capacity(&mut events);
            // Cut off by a signal it has nothing, which is fine.
            let _ = epoll::wait(&self.epoll, buffer, timeout.as_ref());
            let again = std::mem::take(&mut self.again);
            for token in again {
                self.serve(token);
            }
            for event in &events {
                match event.data.u64() {
                    WAKE => {
                        if !self.obey() {
                            return;
                        }
                    }
                    token => self.serve(token),
                }
            }
            self.tidy();
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let pause = self.paused.map(|_| PAUSE);
        let sweep = (self.clients > 0).then_some(SWEEP);
        pause.into_iter().chain(sweep).min()
    }

    /// Carries commands out; false at the end.
    fn obey(&mut self) -> bool {
        // Nothing to read is fine: the commands count.
        let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
        while let Ok(command) = self.commands.try_recv() {
            let (result, done) = match command {
                Command::Add { container, target, ports, done } => {
                    (self.add(&container, target, ports), done)
                }
                Command::Remove { container, done } => {
                    self.remove_all(&container);
                    (Ok(()), done)
                }
                Command::Quit => return false,
            };
            // Nobody waits any more: fine.
            let _ = done.send(result);
        }
        true
    }

    fn add(&mut self, container: &str, target: Target, ports: Vec<Listening>) -> io::Result<()> {
        let (container, target): (Arc<str>, _) = (container.into(), Arc::new(target));
        for port in ports {
            let socket = match port {
                Listening::Tcp(listener, port) => {
                    listener.set_nonblocking(true)?;
                    Socket::Listener(listener, port)
                }
                Listening::Udp(socket, container_port) => {
                    socket.set_nonblocking(true)?;
                    Socket::Port(Port { socket: Arc::new(socket), container_port, clients: BTreeMap::new() })
                }
            };
            let entry = Entry { container: Arc::clone(&container), target: Arc::clone(&target), socket };
            if let Err(error) = self.insert(entry) {
                self.remove_all(&container);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Connections are told each change once, for they are read until there is no more; the rest as long as there
    /// is something.
    fn insert(&mut self, entry: Entry) -> io::Result<u64> {
        let token = self.next_token;
        let data = EventData::new_u64(token);
        match &entry.socket {
            Socket::Listener(socket, _) => epoll::add(&self.epoll, socket, data, EventFlags::IN)?,
            Socket::Port(port) => epoll::add(&self.epoll, &*port.socket, data, EventFlags::IN)?,
            Socket::Client(client) => epoll::add(&self.epoll, &client.socket, data, EventFlags::IN)?,
            Socket::Connection(connection) => {
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                for end in connection.ends() {
                    epoll::add(&self.epoll, end, data, flags)?;
                }
            }
        }
        self.next_token += 1;
        match &entry.socket {
            Socket::Connection(_) => self.connections += 1,
            Socket::Client(_) => self.clients += 1,
            Socket::Listener(..) | Socket::Port(_) => {}
        }
        self.entries.insert(token, entry);
        Ok(token)
    }

    /// Forgets an entry; closing its sockets takes them out of the epoll.
    fn take(&mut self, token: u64) -> Option<Socket> {
        let entry = self.entries.remove(&token)?;
        self.again.remove(&token);
        match &entry.socket {
            Socket::Connection(_) => self.connections -= 1,
            Socket::Client(client) => {
                self.clients -= 1;
                if let Some(Entry { socket: Socket::Port(port), .. }) = self.entries.get_mut(&client.port) {
                    port.clients.remove(&client.address);
                }
            }
            Socket::Listener(..) | Socket::Port(_) => {}
        }
        Some(entry.socket)
    }

    fn remove_all(&mut self, container: &str) {
        let all: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, it)| &*it.container == container)
            .map(|(token, _)| *token)
            .collect();
        for token in all {
            match self.take(token) {
                Some(Socket::Connection(connection)) => connection.abort(),
                Some(Socket::Listener(listener, _)) => silence(&listener),
                _ => {}
            }
        }
    }

    fn serve(&mut self, token: u64) {
        match self.entries.get_mut(&token).map(|entry| &mut entry.socket) {
            Some(Socket::Listener(..)) => self.accept(token),
            Some(Socket::Connection(_)) => self.pump(token),
            Some(Socket::Port(_)) => self.receive(token),
            Some(Socket::Client(_)) => self.answer(token),
            // Gone since the event.
            None => {}
        }
    }

    fn accept(&mut self, token: u64) {
        for _ in 0..TURN {
            if self.connections >= self.most {
                self.pause(true);
                return;
            }
            let Some(Entry { socket: Socket::Listener(listener, port), target, container }) =
                self.entries.get(&token)
            else {
                return;
            };
            let client = match listener.accept() {
                Ok((client, _)) => client,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A client that went away again before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(_) => {
                    // No descriptors: everything waits until some are free.
                    self.pause(true);
                    return;
                }
            };
            let (target, container) = (Arc::clone(target), Arc::clone(container));
            match target.connect_tcp(*port) {
                Ok(server) => self.connect(client, server.into(), target, container),
                // Nothing listens: the client learns it by a reset, as from a closed port.
                Err(_) => reset(&client),
            }
        }
    }

    fn connect(&mut self, client: TcpStream, server: TcpStream, target: Arc<Target>, container: Arc<str>) {
        let inserted = Connection::new(client, server)
            .and_then(|it| self.insert(Entry { container, target, socket: Socket::Connection(it) }));
        if let Ok(token) = inserted {
            self.pump(token);
        }
    }

    fn pump(&mut self, token: u64) {
        let Some(Entry { socket: Socket::Connection(connection), .. }) = self.entries.get_mut(&token) else {
            return;
        };
        match connection.pump(&mut self.scratch) {
            Ok(Next::Wait) => {}
            Ok(Next::Again) => {
                self.again.insert(token);
            }
            Ok(Next::Over) => {
                self.take(token);
            }
            Err(_) => {
                if let Some(Socket::Connection(connection)) = self.take(token) {
                    connection.abort();
                }
            }
        }
    }

    /// Datagrams of clients.
    fn receive(&mut self, token: u64) {
        let mut scratch = std::mem::take(&mut self.scratch);
        for _ in 0..TURN {
            let Some(Entry { socket: Socket::Port(port), .. }) = self.entries.get(&token) else { break };
            let Some((count, address)) = port.receive(&mut scratch) else { break };
            let datagram = scratch.get(..count).unwrap_or_default();
            if let Some(&known) = port.clients.get(&address)
                && let Some(Entry { socket: Socket::Client(client), .. }) = self.entries.get_mut(&known)
            {
                match client.forth(datagram) {
                    Passed::Yes => continue,
                    Passed::Refused => self.take(known),
                };
            }
            self.admit(token, address, datagram);
        }
        self.scratch = scratch;
    }

    fn admit(&mut self, token: u64, address: std::net::SocketAddr, first: &[u8]) {
        if self.clients >= self.most {
            let silent = self.entries.iter().filter_map(|(token, entry)| match &entry.socket {
                Socket::Client(client) => Some((client.last, *token)),
                _ => None,
            });
            if let Some((_, oldest)) = silent.min() {
                self.take(oldest);
            }
        }
        let Some(Entry { socket: Socket::Port(port), target, container }) = self.entries.get(&token) else {
            return;
        };
        let Some(client) = port.admit(token, address, first, target) else { return };
        let (container, target) = (Arc::clone(container), Arc::clone(target));
        let Ok(client) = self.insert(Entry { container, target, socket: Socket::Client(client) }) else {
            return;
        };
        if let Some(Entry { socket: Socket::Port(port), .. }) = self.entries.get_mut(&token) {
            port.clients.insert(address, client);
        }
    }

    /// Datagrams of the container.
    fn answer(&mut self, token: u64) {
        let Some(Entry { socket: Socket::Client(client), .. }) = self.entries.get_mut(&token) else { return };
        if client.back(&mut self.scratch).is_err() {
            // The next datagram looks anew where somebody listens.
            self.take(token);
        }
    }

    /// Stops or resumes accepting.
    fn pause(&mut self, pause: bool) {
        let flags = if pause { EventFlags::empty() } else { EventFlags::IN };
        for (token, entry) in &self.entries {
            if let Socket::Listener(listener, _) = &entry.socket {
                // It is registered, so this cannot fail but for want of memory; the next attempt comes soon.
                let _ = epoll::modify(&self.epoll, listener.as_fd(), EventData::new_u64(*token), flags);
            }
        }
        self.paused = pause.then(Instant::now);
    }

    fn tidy(&mut self) {
        if self.paused.is_some_and(|since| since.elapsed() >= PAUSE) && self.connections < self.most {
            self.pause(false);
        }
        if self.clients > 0 && self.swept.elapsed() >= SWEEP {
            self.swept = Instant::now();
            let silent: Vec<u64> = self
                .entries
                .iter()
                .filter(|(_, entry)| matches!(&entry.socket, Socket::Client(it) if it.last.elapsed() > IDLE))
                .map(|(token, _)| *token)
                .collect();
            for token in silent {
                self.take(token);
            }
        }
    }
}

fn reset(client: &TcpStream) {
    // Closed it is in any case.
    let _ = rustix::net::sockopt::set_socket_linger(client, Some(Duration::ZERO));
}

/// Ends listening: closing would not do, because a program that another thread is just starting has the socket, too,
/// until it executes, and with it the port.
fn silence(listener: &TcpListener) {
    // Closed it is in any case.
    let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
}
