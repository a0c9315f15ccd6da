use super::*;
use proptest::prelude::*;

fn journal(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for payload in payloads {
        let frame = frame(bytes.len() as u64, payload).unwrap();
        bytes.extend_from_slice(&frame);
    }
    bytes
}

fn read(bytes: &[u8]) -> Result<(Vec<Vec<u8>>, usize), Corrupt> {
    let scan = scan(&Bytes::copy_from_slice(bytes))?;
    let payloads = scan.payloads.iter().map(|(_, payload)| payload.to_vec()).collect();
    Ok((payloads, scan.valid))
}

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    // Not zero: a payload that is all zeros cannot be told from one that was not written.
    prop::collection::vec(prop::collection::vec(1_u8.., 1..900), 1..5)
}

proptest! {
    #[test]
    fn journal_cut_at_any_byte_keeps_all_whole_frames(payloads in payloads(), cut in 0.0..1.0) {
        let bytes = journal(&payloads);
        let cut = (bytes.len() as f64 * cut) as usize;
        let (kept, valid) = read(&bytes[..cut]).unwrap();
        prop_assert_eq!(&payloads[..kept.len()], &kept[..]);
        prop_assert_eq!(valid, journal(&kept).len());
        let next = payloads.get(kept.len()).map(|payload| journal(std::slice::from_ref(payload)).len());
        prop_assert!(next.is_none_or(|next| valid + next > cut));
    }

    #[test]
    fn journal_with_a_flipped_bit_is_refused(
        payloads in payloads(), place in 0.0..1.0, bit in 0..8,
    ) {
        let mut bytes = journal(&payloads);
        let place = (bytes.len() as f64 * place) as usize;
        bytes[place] ^= 1_u8 << bit;
        prop_assert!(read(&bytes).unwrap_err().offset <= place);
    }
}

#[test]
fn journal_with_damage_before_a_whole_frame_is_refused() {
    let bytes = journal(&[b"one".to_vec(), b"two".to_vec()]);
    for place in 0..bytes.len() / 2 {
        for value in [0, 0xFF] {
            let mut bytes = bytes.clone();
            if bytes[place] == value {
                continue;
            }
            bytes[place] = value;
            assert_eq!(read(&bytes).unwrap_err().offset, 0, "byte {place}");
        }
    }
}

#[test]
fn journal_that_grew_before_its_last_sector_was_written_is_cut() {
    let whole = journal(&[vec![1; 700]]);
    let mut bytes = journal(&[vec![1; 700], vec![2; 2000]]);
    let end = bytes.len();
    bytes[1024..1536].fill(0);
    assert_eq!(read(&bytes).unwrap(), (vec![vec![1; 700]], whole.len()));
    bytes[whole.len()..end].fill(0);
    assert_eq!(read(&bytes).unwrap(), (vec![vec![1; 700]], whole.len()));
}

#[test]
fn journal_of_something_else_is_refused() {
    assert!(read(b"a foreign file").is_err());
    assert!(read(b"x").is_err());
    assert_eq!(read(b"").unwrap(), (Vec::new(), 0));
    assert_eq!(frame(0, b""), None);
}

#[test]
fn journal_frame_inside_a_torn_payload_is_no_frame() {
    let inner = frame(0, b"inner").unwrap();
    let mut payload = inner.to_vec();
    payload.extend_from_slice(&[7; 100]);
    let bytes = journal(&[b"first".to_vec(), payload]);
    let (kept, _) = read(&bytes[..bytes.len() - 50]).unwrap();
    assert_eq!(kept, [b"first".to_vec()]);
}
