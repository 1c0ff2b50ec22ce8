//! Digests by other algorithms than SHA-256: MD5, SHA-1, SHA-512 and CRC-32C.

use portico_guest_conformance::*;
use sha2::Digest as _;

cases! {
    right,
    wrong,
    of_a_wrong_length,
    twice,
    beside_sha256_and_each_other,
    of_no_bytes,
    at_the_end_of_a_writer,
    at_the_end_without_having_been_computed,
    at_the_beginning_and_at_the_end,
    of_a_final,
    of_content_that_exists,
    of_an_assembly,
}

const ALGORITHMS: [DigestAlgorithm; 4] =
    [DigestAlgorithm::Md5, DigestAlgorithm::Sha1, DigestAlgorithm::Sha512, DigestAlgorithm::Crc32c];

/// Computes a digest, here in the guest.
fn digest(algorithm: DigestAlgorithm, content: &Content) -> Vec<u8> {
    let bytes = content.bytes();
    match algorithm {
        DigestAlgorithm::Md5 => md5::Md5::digest(bytes).to_vec(),
        DigestAlgorithm::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
        DigestAlgorithm::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
        DigestAlgorithm::Crc32c => crc32c(&bytes).to_be_bytes().to_vec(),
    }
}

/// CRC-32C bit by bit: the reflected polynomial of RFC 9260, appendix A.
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

/// Options that know different things of content of a size.
fn options(size: u64) -> [PartOptions; 3] {
    [PartOptions::new(), PartOptions::new().size(size).offset(0), PartOptions::new().offset(5).want_sha256()]
}

fn right(store: &Store) {
    let mut number = 0;
    for size in [1, 64, 600_000] {
        let content = pattern(1, size);
        for algorithm in ALGORITHMS {
            for options in options(size) {
                let options = options.digest(algorithm, digest(algorithm, &content));
                let part = store.put_temp_part("session", number, content.source(), options).expect("a part");
                keep_part(store, &part, &content);
                number += 1;
            }
        }
    }
}

fn wrong(store: &Store) {
    let content = pattern(1, 600_000);
    for algorithm in ALGORITHMS {
        let mut value = digest(algorithm, &content);
        value[0] ^= 1;
        for options in options(600_000) {
            let put = store.put_temp_part("session", 1, content.source(), options.digest(algorithm, value.clone()));
            refused(put, Error::DigestMismatch);
            assert_parts(store, "session", []);
        }
    }
    assert_eq!(store.sessions().count(), 0);
}

fn of_a_wrong_length(store: &Store) {
    let content = pattern(1, 100);
    for algorithm in ALGORITHMS {
        let right = digest(algorithm, &content);
        let long = [&right[..], &[0]].concat();
        for value in [&[][..], &right[1..], &long[..]] {
            let options = PartOptions::new().digest(algorithm, value);
            refused_argument(store.put_temp_part("session", 1, endless(1), options.clone()), Argument::Expected);
            refused_argument(store.create_temp_part("session", 1, options), Argument::Expected);
            let options = FinalOptions::new().digest(algorithm, value);
            refused_argument(store.put_final("file", endless(1), options.clone()), Argument::Expected);
            refused_argument(store.create_final("file", options), Argument::Expected);
        }
    }
    assert_parts(store, "session", []);
    assert_free(store, "file");
}

/// An algorithm may be named once, even if both values are the same.
fn twice(store: &Store) {
    let content = pattern(1, 100);
    for algorithm in ALGORITHMS {
        let value = digest(algorithm, &content);
        let options = PartOptions::new().digest(algorithm, value.clone()).digest(algorithm, value);
        refused_argument(store.put_temp_part("session", 1, content.source(), options), Argument::Expected);
    }
    assert_parts(store, "session", []);
}

fn all_of(content: &Content) -> Expected {
    let others = ALGORITHMS.map(|algorithm| (algorithm, digest(algorithm, content)));
    Expected { size: Some(content.size()), sha256: Some(content.sha256()), others: others.to_vec() }
}

fn beside_sha256_and_each_other(store: &Store) {
    let content = pattern(1, 600_000);
    let options = PartOptions { expected: all_of(&content), ..PartOptions::new() };
    let part = store.put_temp_part("session", 1, content.source(), options.clone()).expect("a part");
    assert_eq!(part.sha256, Some(content.sha256()));
    keep_part(store, &part, &content);
    // Each of them is compared.
    for at in 0..ALGORITHMS.len() {
        let mut options = options.clone();
        options.expected.others[at].1[3] ^= 0x80;
        refused(store.put_temp_part("session", 2, content.source(), options), Error::DigestMismatch);
    }
    assert_parts(store, "session", [&part]);
}

fn of_no_bytes(store: &Store) {
    let empty = pattern(1, 0);
    let options = PartOptions { expected: all_of(&empty), ..PartOptions::new() };
    let part = store.put_temp_part("session", 1, empty.source(), options).expect("a part");
    keep_part(store, &part, &empty);
}

fn only(algorithm: DigestAlgorithm, value: Vec<u8>) -> Expected {
    Expected { others: vec![(algorithm, value)], ..Expected::default() }
}

fn at_the_end_of_a_writer(store: &Store) {
    let content = pattern(1, 600_000);
    for (number, algorithm) in (0..).zip(ALGORITHMS) {
        let computing = || {
            let options = PartOptions::new().compute(algorithm).compute(algorithm);
            let mut writer = store.create_temp_part("session", number, options).expect("a writer");
            content.slice(0, 100_000).write_to(&mut writer.sink().expect("a sink"));
            content.slice(100_000, 600_000).write_to(&mut writer.sink().expect("a sink"));
            writer
        };
        let mut value = digest(algorithm, &content);
        let part = computing().finish(only(algorithm, value.clone())).expect("a part");
        content.assert_read(read_part(store, &part));
        store.delete_temp_part(&part.temp_key).expect("a delete");
        value[1] ^= 4;
        refused(computing().finish(only(algorithm, value.clone())), Error::DigestMismatch);
        refused_argument(computing().finish(only(algorithm, value[1..].to_vec())), Argument::Expected);
        // What is computed need not be expected.
        let part = computing().finish(Expected::default()).expect("a part");
        keep_part(store, &part, &content);
    }
}

fn at_the_end_without_having_been_computed(store: &Store) {
    let content = pattern(1, 1_000);
    for algorithm in ALGORITHMS {
        let others = ALGORITHMS.into_iter().filter(|other| *other != algorithm);
        let computes_others = others.fold(PartOptions::new(), PartOptions::compute);
        for options in [PartOptions::new(), computes_others] {
            let mut writer = store.create_temp_part("session", 1, options).expect("a writer");
            writer.pull(content.source()).expect("a pull");
            let finish = writer.finish(only(algorithm, digest(algorithm, &content)));
            refused_argument(finish, Argument::Expected);
            assert_parts(store, "session", []);
        }
        let mut writer = store.create_final("file", FinalOptions::new()).expect("a writer");
        writer.pull(content.source()).expect("a pull");
        refused_argument(writer.finish(only(algorithm, digest(algorithm, &content))), Argument::Expected);
        assert_free(store, "file");
    }
}

fn at_the_beginning_and_at_the_end(store: &Store) {
    let content = pattern(1, 1_000);
    let (md5, sha1) = (DigestAlgorithm::Md5, DigestAlgorithm::Sha1);
    let begun = || {
        let options = PartOptions::new().digest(md5, digest(md5, &content)).compute(sha1);
        let mut writer = store.create_temp_part("session", 1, options).expect("a writer");
        writer.pull(content.source()).expect("a pull");
        writer
    };
    // Two values of one algorithm contradict each other.
    refused(begun().finish(only(md5, vec![0; 16])), Error::DigestMismatch);
    refused(begun().finish(only(sha1, vec![0; 20])), Error::DigestMismatch);
    assert_parts(store, "session", []);
    let both =
        Expected { others: vec![(sha1, digest(sha1, &content)), (md5, digest(md5, &content))], ..Expected::default() };
    keep_part(store, &begun().finish(both).expect("a part"), &content);
}

fn of_a_final(store: &Store) {
    let content = pattern(1, 600_000);
    for (at, algorithm) in (0..).zip(ALGORITHMS) {
        let (file, mut value) = (format!("file-{at}"), digest(algorithm, &content));
        value[0] ^= 1;
        let options = FinalOptions::new().digest(algorithm, value.clone());
        refused(store.put_final(&file, content.source(), options.clone()), Error::DigestMismatch);
        let mut writer = store.create_final(&file, options).expect("a writer");
        writer.pull(content.source()).expect("a pull");
        refused(writer.finish(Expected::default()), Error::DigestMismatch);
        assert_free(store, &file);
        value[0] ^= 1;
        let options = FinalOptions::new().digest(algorithm, value);
        let object = store.put_final(&file, content.source(), options).expect("an object");
        keep_object(store, &object, &content);
    }
}

/// Content that is only compared is checked too.
fn of_content_that_exists(store: &Store) {
    let content = pattern(1, 100_000);
    let part = put_part(store, "session", 1, &content);
    let object = put(store, "file", &content);
    for algorithm in ALGORITHMS {
        let right = digest(algorithm, &content);
        let wrong = vec![7; right.len()];
        let options = PartOptions::new().same_content_ok();
        let put = |value: &[u8]| {
            store.put_temp_part("session", 1, content.source(), options.clone().digest(algorithm, value))
        };
        assert_eq!(put(&right), Ok(TempPart { replayed: true, ..part.clone() }));
        refused(put(&wrong), Error::DigestMismatch);
        let options = FinalOptions::new().same_content_ok();
        let put = |value: &[u8]| store.put_final("file", content.source(), options.clone().digest(algorithm, value));
        assert_eq!(put(&right), Ok(StoredObject { replayed: true, ..object.clone() }));
        refused(put(&wrong), Error::DigestMismatch);
    }
    keep_part(store, &part, &content);
    keep_object(store, &object, &content);
}

/// An assembly has no bytes in the host that it could compute them from.
fn of_an_assembly(store: &Store) {
    let content = pattern(1, 1_000);
    let part = put_placed(store, "session", 1, &content, 0);
    for algorithm in ALGORITHMS {
        let options = FinalOptions::new().digest(algorithm, digest(algorithm, &content));
        refused_argument(store.assemble_final("file", [&part.temp_key], options), Argument::Expected);
        assert_parts(store, "session", [&part]);
        assert_free(store, "file");
    }
    keep_part(store, &part, &content);
}
