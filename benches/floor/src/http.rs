//! HTTP/1.1 on a blocking socket: a request out, an answer with a `Content-Length` in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use crate::Result;

/// How large an answer's head may be, in bytes.
const HEAD_MAX: usize = 16 * 1024;

/// A server, connected to at the first request.
pub(crate) struct Host {
    authority: String,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    connection: Option<Connection>,
}

impl Host {
    pub(crate) fn new(url: &str, tls: &Arc<ClientConfig>) -> Result<Self> {
        let authority = url
            .strip_prefix("https://")
            .ok_or("an address without https")?
            .trim_end_matches('/');
        let name = authority.split(':').next().unwrap_or(authority);
        Ok(Self {
            authority: authority.to_owned(),
            name: ServerName::try_from(name.to_owned())?,
            tls: Arc::clone(tls),
            connection: None,
        })
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let stream = connected(&self.authority)?;
                let session = ClientConnection::new(Arc::clone(&self.tls), self.name.clone())?;
                self.connection.insert(Connection {
                    authority: self.authority.clone(),
                    stream: Box::new(StreamOwned::new(session, stream)),
                })
            }
        };
        let answer = connection.exchange(method, path, headers, body)?;
        if answer.status == 200 {
            Ok(answer)
        } else {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            Err(format!("{path} answered {}: {text}", answer.status).into())
        }
    }
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// One connection, used for one request after the other.
pub(crate) struct Connection {
    authority: String,
    stream: Box<dyn Stream>,
}

impl Connection {
    pub(crate) fn plain(authority: &str) -> Result<Self> {
        Ok(Self {
            authority: authority.to_owned(),
            stream: Box::new(connected(authority)?),
        })
    }

    pub(crate) fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let mut request = Vec::with_capacity(2048 + body.len());
        write!(
            request,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n",
            self.authority
        )?;
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n")?;
        }
        if method == "POST" {
            write!(request, "content-length: {}\r\n", body.len())?;
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        self.stream.write_all(&request)?;
        self.stream.flush()?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut received = Vec::with_capacity(4096);
        let head_end = loop {
            if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if received.len() > HEAD_MAX {
                return Err("a head that is too long".into());
            }
            self.read_more(&mut received)?;
        };
        let head = String::from_utf8(received.get(..head_end).unwrap_or_default().to_vec())?;
        let status = head
            .get(9..12)
            .ok_or("an answer without a status")?
            .parse()?;
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
        };
        let length: usize = answer.header("content-length")?.parse()?;
        let mut body = received.split_off(head_end + 4);
        while body.len() < length {
            self.read_more(&mut body)?;
        }
        answer.body = body;
        Ok(answer)
    }

    fn read_more(&mut self, received: &mut Vec<u8>) -> Result<()> {
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece)? {
            0 => Err("the connection ended".into()),
            read => {
                received.extend_from_slice(piece.get(..read).unwrap_or_default());
                Ok(())
            }
        }
    }
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Result<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .ok_or_else(|| format!("an answer without {name}").into())
    }
}

fn connected(authority: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(authority)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
