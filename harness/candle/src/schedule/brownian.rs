//! A Brownian motion that answers for any interval, as torchsde 0.2.6 draws it for diffusers' `BrownianTreeNoiseSampler`
//! (`BrownianInterval` with `halfway_tree`, `tol = 1e-6` and `pool_size = 24`): a tree of halves, each with a seed of its own.

use std::collections::HashMap;
use std::rc::Rc;

use edgemaxx_contract::noise::torch_randn;

/// Words of a seed sequence's pool.
const POOL: usize = 24;

/// The motion from `start` to `end`, of `len` independent values.
pub(super) struct Brownian {
    root: Node,
    entropy: u64,
    len: usize,
    /// What the last increment was made of; the next one shares an end with it.
    known: HashMap<Place, Rc<Vec<f32>>>,
}

/// A node's number among those of its depth, and its depth.
type Place = (u64, u32);

/// An interval of the tree, and how far the motion goes in it.
struct Node {
    start: f64,
    end: f64,
    place: Place,
    way: Rc<Vec<f32>>,
}

impl Brownian {
    pub(super) fn new(start: f64, end: f64, entropy: u64, len: usize) -> Self {
        let scale = (end - start).sqrt() as f32;
        let way = torch_randn(seed(entropy, &[]).into(), len).into_iter().map(|w| w * scale).collect();
        let root = Node { start: rounded(start), end: rounded(end), place: (0, 0), way: Rc::new(way) };
        Self { root, entropy, len, known: HashMap::new() }
    }

    /// How far the motion goes from `from` to `to`, which lies after it; both are moved into the whole.
    pub(super) fn increment(&mut self, from: f64, to: f64) -> Vec<f32> {
        let within = |t: f64| rounded(t.clamp(self.root.start, self.root.end));
        let (from, to) = (within(from), within(to));
        let mut sum = vec![0f32; self.len];
        let before = std::mem::take(&mut self.known);
        let root = Node { way: Rc::clone(&self.root.way), ..self.root };
        if from < to {
            self.add(&root, (from, to), &before, &mut sum);
        }
        sum
    }

    /// Adds what of `node` lies between `from` and `to`.
    fn add(
        &mut self,
        node: &Node,
        (from, to): (f64, f64),
        before: &HashMap<Place, Rc<Vec<f32>>>,
        sum: &mut [f32],
    ) {
        if (from, to) == (node.start, node.end) {
            sum.iter_mut().zip(node.way.iter()).for_each(|(sum, w)| *sum += w);
            return;
        }
        let middle = rounded(0.5 * (node.end + node.start));
        let (key, depth) = node.place;
        let place = (2 * key, depth + 1);
        let left = before.get(&place).map_or_else(|| Rc::new(self.left(node, middle)), Rc::clone);
        self.known.insert(place, Rc::clone(&left));
        if from < middle {
            let node = Node { start: node.start, end: middle, place, way: Rc::clone(&left) };
            self.add(&node, (from, to.min(middle)), before, sum);
        }
        if to > middle {
            let way = node.way.iter().zip(left.iter()).map(|(all, left)| all - left).collect();
            let node =
                Node { start: middle, end: node.end, place: (place.0 + 1, place.1), way: Rc::new(way) };
            self.add(&node, (from.max(middle), to), before, sum);
        }
    }

    /// How far the motion goes in the first half of a node: a bridge between its ends.
    fn left(&self, node: &Node, middle: f64) -> Vec<f32> {
        let (first, second, whole) = (middle - node.start, node.end - middle, 1.0 / (node.end - node.start));
        let spread = (first * second * whole).sqrt() as f32;
        let (key, depth) = node.place;
        let noise = torch_randn(seed(self.entropy, &[key, depth.into()]).into(), self.len);
        let bridge = |(way, noise): (&f32, f32)| first as f32 * way * whole as f32 + spread * noise;
        node.way.iter().zip(noise).map(bridge).collect()
    }
}

/// To six digits, as Python rounds.
fn rounded(t: f64) -> f64 {
    format!("{t:.6}").parse().unwrap_or(t)
}

/// The first word of `numpy.random.SeedSequence(entropy, spawn_key=spawn, pool_size=24).generate_state`.
fn seed(entropy: u64, spawn: &[u64]) -> u32 {
    let mut words = words(entropy);
    if !spawn.is_empty() {
        words.resize(POOL.max(words.len()), 0);
        words.extend(spawn.iter().flat_map(|key| self::words(*key)));
    }
    let mut constant = 0x43b0_d7e5_u32;
    let mut hash = |value: u32| scrambled(value, &mut constant, 0x931e_8875);
    let mut pool: [u32; POOL] = std::array::from_fn(|i| hash(words.get(i).copied().unwrap_or(0)));
    for source in 0..POOL {
        for to in (0..POOL).filter(|to| *to != source) {
            pool[to] = mixed(pool[to], hash(pool[source]));
        }
    }
    for word in words.iter().skip(POOL) {
        pool.iter_mut().for_each(|to| *to = mixed(*to, hash(*word)));
    }
    scrambled(pool[0], &mut 0x8b51_f9dd, 0x58f3_8ded)
}

/// The words of a number from the lowest, one at least.
fn words(number: u64) -> Vec<u32> {
    let (low, high) = (number as u32, (number >> 32) as u32);
    if high == 0 { vec![low] } else { vec![low, high] }
}

fn scrambled(value: u32, constant: &mut u32, factor: u32) -> u32 {
    let value = value ^ *constant;
    *constant = constant.wrapping_mul(factor);
    let value = value.wrapping_mul(*constant);
    value ^ (value >> 16)
}

fn mixed(a: u32, b: u32) -> u32 {
    let mixed = 0xca01_f9dd_u32.wrapping_mul(a).wrapping_sub(0x4973_f715_u32.wrapping_mul(b));
    mixed ^ (mixed >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By NumPy 2.4.6.
    #[test]
    fn seeds_are_those_of_numpy() {
        let large = (1 << 40) + 5;
        for (entropy, spawn, expected) in [
            (0, &[][..], 4_025_752_534),
            (7, &[], 1_376_543_887),
            (large, &[], 2_754_131_497),
            (7, &[0, 0], 261_727_054),
            (7, &[5, 3], 1_167_487_741),
            (large, &[(1 << 33) + 1, 40], 3_206_961_117),
        ] {
            assert_eq!(seed(entropy, spawn), expected, "{entropy} {spawn:?}");
        }
    }

    /// By torchsde 0.2.6 and torch 2.15.0, for `size=(1, 1, 4, 5)`.
    #[test]
    fn the_motion_is_that_of_torchsde() {
        let mut motion = Brownian::new(0.029, 14.6146, 12, 20);
        for (from, to, expected) in [
            (0.029, 14.6146, [2.958779, -1.92923, -3.401193]),
            (3.123456, 14.6146, [2.596567, 0.9721297, -4.588981]),
            (1.5, 3.123456, [1.245893, -2.185148, 0.4684541]),
            (0.5, 0.500001, [0.0009791637, -0.001214678, -0.0002641585]),
            (0.0, 1.0, [-1.225749, -0.1553514, 0.5492171]),
        ] {
            let way = motion.increment(from, to);
            for (ours, theirs) in [way[0], way[7], way[19]].iter().zip(expected) {
                assert!((ours - theirs).abs() < 2e-6, "{ours}, not {theirs}, from {from} to {to}");
            }
        }
        assert_eq!((rounded(0.007_812_5), rounded(0.023_437_5)), (0.007_812, 0.023_438), "as Python rounds");
    }
}
