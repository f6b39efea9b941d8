use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

/// A body that was not read to its end.
#[derive(Debug)]
pub(super) enum Unread<E> {
    TooLarge,
    Broken(E),
}

/// Reads a body of at most `limit` bytes. Trailers are dropped.
///
/// The frames are copied into one buffer. A list of frames could take many times the memory of the limit, if the peer sends
/// one byte in each frame.
pub(super) async fn read<B>(mut body: B, limit: usize) -> Result<Bytes, Unread<B::Error>>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(Unread::TooLarge);
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Unread::Broken)?.into_data() else {
            continue;
        };
        if data.len() > limit - read.len() {
            return Err(Unread::TooLarge);
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_is_read() {
        for (length, fits) in [(0, true), (9, true), (10, true), (11, false)] {
            let announced = read(Full::from(vec![b'x'; length]), 10).await;
            assert_eq!(announced.is_ok(), fits, "{length} bytes, length known");
        }
    }
}
