//! What a request pays for a list of networks, and what a list costs to read and to keep: 10 networks and 100,000.

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::IpAddr;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollgate::policy::ip::{NetworkSet, parse};

const SIZES: [u32; 2] = [10, 100_000];
/// Addresses asked for in turn: so many that the branches of a search cannot be learnt.
const ADDRESSES: usize = 65_536;

/// Numbers without a pattern, the same in every run (SplitMix64).
struct Numbers(u64);

impl Iterator for Numbers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(mixed ^ (mixed >> 31))
    }
}

/// Networks of a /24 (of IPv4) or a /48 (of IPv6) each, as the text of a list.
fn list(count: u32, family: &str) -> String {
    let mut text = String::new();
    for number in Numbers(1).take(usize::try_from(count).unwrap_or(usize::MAX)) {
        let bytes = number.to_le_bytes();
        let [a, b, c, d, e, ..] = bytes;
        let _ = match family {
            "v4" => writeln!(text, "{a}.{b}.{c}.0/24"),
            _ => writeln!(text, "2{:03x}:{b:x}{c:02x}:{d:x}{e:02x}::/48", u16::from(a)),
        };
    }
    text
}

fn addresses(family: &str) -> Vec<IpAddr> {
    let random = Numbers(2).map(|number| match family {
        "v4" => IpAddr::V4(u32::try_from(number >> 32).unwrap_or_default().into()),
        _ => IpAddr::V6(((0x2000_u128 << 112) | (u128::from(number) << 60)).into()),
    });
    random.take(ADDRESSES).collect()
}

fn sets(family: &str) -> impl Iterator<Item = (u32, NetworkSet)> {
    SIZES.into_iter().filter_map(move |size| Some((size, parse(&list(size, family)).ok()?)))
}

fn contains(criterion: &mut Criterion) {
    for family in ["v4", "v6"] {
        let mut group = criterion.benchmark_group(format!("ip/contains/{family}"));
        for (size, set) in sets(family) {
            eprintln!("{size} networks of {family}: {} ranges, {} bytes", set.ranges(), set.bytes());
            let mut turn = addresses(family).into_iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter(|| turn.next().map(|address| set.contains(black_box(address))));
            });
        }
    }
}

fn load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ip/load");
    for family in ["v4", "v6"] {
        for size in SIZES {
            let text = list(size, family);
            group.throughput(Throughput::Elements(u64::from(size)));
            group.bench_function(BenchmarkId::new(family, size), |bencher| {
                bencher.iter(|| parse(black_box(&text)).is_ok())
            });
        }
    }
}

criterion_group!(benches, contains, load);
criterion_main!(benches);
