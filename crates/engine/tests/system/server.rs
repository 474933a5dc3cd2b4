//! What runs in the containers of the tests: this program as a server of both protocols.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;

use llcm_engine::{Bind, Spec};

/// A container that serves at an address.
pub(crate) fn server(name: &str, address: &str) -> Spec {
    let program = std::env::current_exe().unwrap();
    let bind = Bind { host: program, container: "/server".into(), read_only: true };
    let command = ["/server", "serve", address].map(str::to_owned).to_vec();
    Spec { command, binds: vec![bind], ..Spec::new(name, "host") }
}

/// The first byte of a connection says what is wanted. A datagram is answered with its sender's address and itself.
pub(crate) fn serve(address: &str) -> ExitCode {
    let listener = TcpListener::bind(address).unwrap();
    let socket = UdpSocket::bind(address).unwrap();
    println!("ready");
    std::thread::spawn(move || {
        let mut datagram = [0; 2000];
        loop {
            let (count, from) = socket.recv_from(&mut datagram).unwrap();
            let mut answer = format!("{} ", from.ip()).into_bytes();
            answer.extend(&datagram[..count]);
            socket.send_to(&answer, from).unwrap();
        }
    });
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        std::thread::spawn(move || {
            if let Err(error) = answer(stream) {
                println!("{error}");
            }
        });
    }
    ExitCode::SUCCESS
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut wish = [0];
    stream.read_exact(&mut wish)?;
    match &wish {
        b"e" => {
            io::copy(&mut stream.try_clone()?, &mut stream)?;
            stream.write_all(b"bye")
        }
        b"h" => {
            stream.write_all(b"half")?;
            stream.shutdown(std::net::Shutdown::Write)?;
            let mut rest = String::new();
            stream.read_to_string(&mut rest)?;
            println!("then: {rest}");
            Ok(())
        }
        b"r" => Ok(rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO))?),
        _ => {
            let peer = stream.peer_addr()?.ip();
            stream.write_all(peer.to_string().as_bytes())
        }
    }
}

/// As a client, from inside: whether a server is reached, with a source address of one's choice. A datagram needs no
/// answer; whoever waits for it knows.
pub(crate) fn dial(protocol: &str, from: &str, to: &str) -> ExitCode {
    use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};
    let (from, to): (std::net::SocketAddr, std::net::SocketAddr) =
        (from.parse().unwrap(), to.parse().unwrap());
    let work = || -> io::Result<()> {
        if protocol == "udp" {
            return UdpSocket::bind(from)?.send_to(b"dialled", to).map(|_| ());
        }
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &from)?;
        // Bounds connecting, too (socket(7)).
        sockopt::set_socket_timeout(
            &socket,
            sockopt::Timeout::Send,
            Some(std::time::Duration::from_millis(700)),
        )?;
        Ok(rustix::net::connect(&socket, &to)?)
    };
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::from(3)
        }
    }
}
