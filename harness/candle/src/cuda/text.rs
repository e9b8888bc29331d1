//! Language models: launches of `kernels/text.cu`, memory that they work on, and tokens on their way to the host.
use super::Cuda;
use super::attention::shape;
use super::kernels::{Arg, Module};
use super::memory::suffix;
use super::product::Product;
use candle_core::{DType, Error, Result, bail};
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaEvent, CudaGraph, CudaSlice, DevicePtr as _, result};

/// Threads of a block, rows of a matrix that it multiplies.
const THREADS: u32 = 256;
const ROWS: usize = 16;
/// Parts of the positions that are attended to side by side.
const SPLITS: u32 = 16;

/// Bytes on the card.
pub(crate) struct Memory(CudaSlice<u8>, u64);

// SAFETY: a model lets one thread at a time use it.
unsafe impl Send for Memory {}

impl Memory {
    /// The address of byte `offset`.
    pub(crate) fn at(&self, offset: usize) -> u64 {
        debug_assert!(offset <= self.0.len());
        self.1 + offset as u64
    }
}

/// How a matrix lies on the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Numbers of the model's type.
    Plain,
    /// Signed bytes, an f16 scale to 32.
    Bytes,
    /// Four bits, f16 scale and shift to 32.
    Nibbles,
}

/// A matrix row by row.
pub(crate) struct Rows {
    pub(crate) form: Form,
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) numbers: Memory,
    /// Where it is quantised.
    pub(crate) scales: Option<Memory>,
    pub(crate) shifts: Option<Memory>,
}

impl Rows {
    fn args(&self) -> [Arg; 3] {
        let or_null = |memory: &Option<Memory>| Arg::Address(memory.as_ref().map_or(0, |m| m.at(0)));
        [Arg::Address(self.numbers.at(0)), or_null(&self.scales), or_null(&self.shifts)]
    }

    fn suffix(&self, dtype: DType) -> Result<&'static str> {
        Ok(match self.form {
            Form::Plain => suffix(dtype)?,
            Form::Bytes => "bytes",
            Form::Nibbles => "nibbles",
        })
    }

    /// Bytes that are read to multiply with it.
    pub(crate) fn bytes(&self) -> usize {
        let len = |memory: &Option<Memory>| memory.as_ref().map_or(0, |m| m.0.len());
        self.numbers.0.len() + len(&self.scales) + len(&self.shifts)
    }
}

/// Heads of a model, and its type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) width: usize,
    pub(crate) dtype: DType,
}

/// Cosines and sines by position, keys and values of a layer.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a> {
    pub(crate) cos: &'a Memory,
    pub(crate) sin: &'a Memory,
    pub(crate) keys: &'a Memory,
    pub(crate) values: &'a Memory,
}

/// A norm: its weights and ε.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a>(pub(crate) &'a Memory, pub(crate) f32);

/// What the steps of an answer share, as `State` in the kernels.
pub(crate) struct Steps {
    state: Memory,
    parts: Memory,
    done: Memory,
    /// Where tokens come to, two in turn; pinned, freed with the process's context.
    slots: *mut u64,
    turn: usize,
}

// SAFETY: a model lets one thread at a time use it; the slots are the process's memory.
unsafe impl Send for Steps {}

/// Bytes of `State`, and where token and fitness lie in it.
const STATE: usize = 24;
const TOKEN: usize = 8;

/// A token that was taken, not yet known here.
pub(crate) struct Coming {
    event: CudaEvent,
    slot: *const u64,
}

impl Coming {
    /// Waits for it; `None` where a logit was no number.
    pub(crate) fn wait(self) -> Result<Option<u32>> {
        self.event.synchronize().map_err(Error::wrap)?;
        // SAFETY: the copy into the slot came before the event.
        let word = unsafe { self.slot.read_volatile() };
        Ok((word >> 32 == 0).then_some(word as u32))
    }
}

/// Launches that were recorded once.
pub(crate) struct Recording(CudaGraph);

// SAFETY: a model lets one thread at a time use it.
unsafe impl Send for Recording {}

impl Recording {
    /// Launches them all.
    pub(crate) fn run(&self) -> Result<()> {
        self.0.launch().map_err(Error::wrap)
    }
}

fn int(value: usize) -> Arg {
    Arg::Int(value as i32)
}

impl Cuda {
    /// Zeros.
    pub(crate) fn zeros(&self, bytes: usize) -> Result<Memory> {
        let slice = self.shared.device.alloc_zeros::<u8>(bytes.max(16))?;
        let address = slice.device_ptr(&self.shared.device.cuda_stream()).0;
        Ok(Memory(slice, address))
    }

    /// A copy of bytes.
    pub(crate) fn upload(&self, bytes: &[u8]) -> Result<Memory> {
        let slice = self.shared.device.clone_htod(bytes)?;
        let address = slice.device_ptr(&self.shared.device.cuda_stream()).0;
        Ok(Memory(slice, address))
    }

    /// Overwrites the beginning of `to`.
    pub(crate) fn write(&self, to: &Memory, words: &[u32]) -> Result<()> {
        let stream = self.shared.device.cuda_stream();
        debug_assert!(words.len() * 4 <= to.0.len());
        // SAFETY: it has room for them, and pageable memory is copied before the call returns.
        unsafe { result::memcpy_htod_async(to.at(0), words, stream.cu_stream()) }.map_err(Error::wrap)
    }

    /// The numbers at the beginning of `from`, once all is done.
    pub(crate) fn read(&self, from: &Memory, to: &mut [f32]) -> Result<()> {
        let stream = self.shared.device.cuda_stream();
        debug_assert!(to.len() * 4 <= from.0.len());
        // SAFETY: there are as many, and the stream is waited for.
        unsafe { result::memcpy_dtoh_async(to, from.at(0), stream.cu_stream()) }.map_err(Error::wrap)?;
        self.wait()
    }

    /// Waits until all is done.
    pub(crate) fn wait(&self) -> Result<()> {
        self.shared.device.cuda_stream().synchronize().map_err(Error::wrap)
    }

    /// The state of the steps of a model.
    pub(crate) fn steps(&self, heads: Heads) -> Result<Steps> {
        // SAFETY: two numbers of pinned memory, written before they are read.
        let slots = unsafe { result::malloc_host(16, 0) }.map_err(Error::wrap)?;
        Ok(Steps {
            state: self.zeros(STATE)?,
            parts: self.zeros(heads.heads * SPLITS as usize * (heads.width + 2) * 4)?,
            done: self.zeros(heads.kv_heads * 4)?,
            slots: slots.cast(),
            turn: 0,
        })
    }

    /// Forgets the last answer.
    pub(crate) fn restart(&self, steps: &Steps) -> Result<()> {
        self.write(&steps.state, &[0; STATE / 4])
    }

    fn text(&self, name: &str, grid: usize, threads: u32, shared: usize, args: &[Arg]) -> Result<()> {
        self.launch(Module::Text, name, (grid as u32, 1, 1), threads, shared, args)
    }

    fn check(m: &Rows, of: &str) -> Result<()> {
        if !m.inner.is_multiple_of(32) {
            bail!("{of}: rows of {} numbers; a GPU takes multiples of 32", m.inner);
        }
        Ok(())
    }

    /// y = W·norm(x), one row.
    pub(crate) fn times(&self, w: &Rows, x: u64, norm: Norm<'_>, y: u64, dtype: DType) -> Result<()> {
        Self::check(w, "times")?;
        let [a, b, c] = w.args();
        let (weights, eps) = (Arg::Address(norm.0.at(0)), Arg::Float(norm.1));
        let args = [a, b, c, Arg::Address(x), weights, Arg::Address(y), int(w.rows), int(w.inner), eps];
        let name = format!("times_{}", w.suffix(dtype)?);
        self.text(&name, w.rows.div_ceil(ROWS), THREADS, w.inner * 4, &args)
    }

    /// y += W·x, one row.
    pub(crate) fn add_times(&self, w: &Rows, x: u64, y: u64, dtype: DType) -> Result<()> {
        Self::check(w, "add_times")?;
        let [a, b, c] = w.args();
        let args = [a, b, c, Arg::Address(x), Arg::Address(y), int(w.rows), int(w.inner)];
        let name = format!("add_times_{}", w.suffix(dtype)?);
        self.text(&name, w.rows.div_ceil(ROWS), THREADS, w.inner * 4, &args)
    }

    /// y = silu(G·norm(x)) · U·norm(x), one row, where U's rows follow G's.
    pub(crate) fn gated(&self, w: &Rows, x: u64, norm: Norm<'_>, y: u64, dtype: DType) -> Result<()> {
        Self::check(w, "gated")?;
        let [a, b, c] = w.args();
        let (weights, eps, inner) = (Arg::Address(norm.0.at(0)), Arg::Float(norm.1), w.rows / 2);
        let args = [a, b, c, Arg::Address(x), weights, Arg::Address(y), int(inner), int(w.inner), eps];
        let name = format!("gated_{}", w.suffix(dtype)?);
        self.text(&name, inner.div_ceil(ROWS / 2), THREADS, w.inner * 4, &args)
    }

    /// logits = W·norm(x), and the largest of them.
    pub(crate) fn choose(
        &self,
        w: &Rows,
        x: u64,
        norm: Norm<'_>,
        logits: &Memory,
        steps: &Steps,
        dtype: DType,
    ) -> Result<()> {
        Self::check(w, "choose")?;
        let [a, b, c] = w.args();
        let args = [
            a,
            b,
            c,
            Arg::Address(x),
            Arg::Address(norm.0.at(0)),
            Arg::Address(logits.at(0)),
            Arg::Address(steps.state.at(0)),
            int(w.rows),
            int(w.inner),
            Arg::Float(norm.1),
        ];
        let name = format!("choose_{}", w.suffix(dtype)?);
        self.text(&name, w.rows.div_ceil(ROWS), THREADS, w.inner * 4, &args)
    }

    /// Takes the token with the largest logit, or the one that is named, as the one at a position: its row of `w` becomes
    /// x, and its number comes to the host.
    pub(crate) fn take(
        &self,
        w: &Rows,
        steps: &mut Steps,
        named: Option<u32>,
        position: usize,
        x: &Memory,
        dtype: DType,
    ) -> Result<Coming> {
        let [a, b, c] = w.args();
        let args = [
            a,
            b,
            c,
            Arg::Address(steps.state.at(0)),
            Arg::Long(named.map_or(-1, i64::from)),
            int(position),
            Arg::Address(x.at(0)),
            int(w.inner),
        ];
        self.text(&format!("take_{}", w.suffix(dtype)?), 1, 512, 0, &args)?;
        let stream = self.shared.device.cuda_stream();
        steps.turn ^= 1;
        // SAFETY: two slots, of which the other one may still be read.
        let slot = unsafe { steps.slots.add(steps.turn) };
        // SAFETY: the slot is a u64 of pinned memory, the state holds as many bytes from there.
        unsafe {
            let to = std::slice::from_raw_parts_mut(slot, 1);
            result::memcpy_dtoh_async(to, steps.state.at(TOKEN), stream.cu_stream()).map_err(Error::wrap)?;
        }
        Ok(Coming { event: stream.record_event(None).map_err(Error::wrap)?, slot })
    }

    /// Rows of `w` of tokens.
    pub(crate) fn embed(
        &self,
        w: &Rows,
        tokens: &Memory,
        count: usize,
        x: &Memory,
        dtype: DType,
    ) -> Result<()> {
        let [a, b, c] = w.args();
        let args = [a, b, c, Arg::Address(tokens.at(0)), Arg::Address(x.at(0)), int(w.inner)];
        self.text(&format!("embed_{}", w.suffix(dtype)?), count, 128, 0, &args)
    }

    /// Attention of one token, whose keys and values it stores.
    pub(crate) fn attend_one(
        &self,
        heads: Heads,
        qkv: &Memory,
        places: Places<'_>,
        steps: &Steps,
        mixed: &Memory,
    ) -> Result<()> {
        let args = [
            Arg::Address(qkv.at(0)),
            Arg::Address(places.cos.at(0)),
            Arg::Address(places.sin.at(0)),
            Arg::Address(places.keys.at(0)),
            Arg::Address(places.values.at(0)),
            Arg::Address(steps.state.at(0)),
            Arg::Address(steps.parts.at(0)),
            Arg::Address(steps.done.at(0)),
            Arg::Address(mixed.at(0)),
            int(heads.heads),
            int(heads.kv_heads),
            Arg::Float(1.0 / (heads.width as f32).sqrt()),
        ];
        let name = format!("attend_{}_{}", heads.width, suffix(heads.dtype)?);
        self.launch(Module::Text, &name, (SPLITS, heads.kv_heads as u32, 1), THREADS, 0, &args)
    }

    /// Rows normalised, as the model's type.
    pub(crate) fn normalised(
        &self,
        x: &Memory,
        norm: Norm<'_>,
        y: &Memory,
        (rows, width): (usize, usize),
        dtype: DType,
    ) -> Result<()> {
        let (from, weights) = (Arg::Address(x.at(0)), Arg::Address(norm.0.at(0)));
        let args = [from, weights, Arg::Address(y.at(0)), int(width), Arg::Float(norm.1)];
        self.text(&format!("normalised_{}", suffix(dtype)?), rows, THREADS, 0, &args)
    }

    /// Queries, keys and values of the first `rows` tokens, turned and put to their places.
    pub(crate) fn turn(
        &self,
        heads: Heads,
        qkv: &Memory,
        places: Places<'_>,
        q: &Memory,
        rows: usize,
    ) -> Result<()> {
        let args = [
            Arg::Address(qkv.at(0)),
            Arg::Address(places.cos.at(0)),
            Arg::Address(places.sin.at(0)),
            Arg::Address(q.at(0)),
            Arg::Address(places.keys.at(0)),
            Arg::Address(places.values.at(0)),
            int(heads.heads),
            int(heads.kv_heads),
            int(heads.width),
        ];
        self.text(&format!("turn_{}", suffix(heads.dtype)?), rows, THREADS, 0, &args)
    }

    /// Attention of the first `rows` tokens among themselves, each to those before it.
    pub(crate) fn attend_causal(
        &self,
        heads: Heads,
        q: &Memory,
        places: Places<'_>,
        mixed: &Memory,
        rows: usize,
    ) -> Result<()> {
        let Some(s) = shape(heads.width, rows, rows) else {
            bail!("attention: no kernel for heads of {}", heads.width)
        };
        let scale = std::f64::consts::LOG2_E / (heads.width as f64).sqrt();
        let (wide, narrow) = (heads.heads * heads.width, heads.kv_heads * heads.width);
        let args = [
            Arg::Address(q.at(0)),
            Arg::Address(places.keys.at(0)),
            Arg::Address(places.values.at(0)),
            Arg::Address(mixed.at(0)),
            int(rows),
            int(rows),
            int(heads.heads),
            Arg::Int(1),
            Arg::Float(scale as f32),
            int(wide),
            int(narrow),
            int(narrow),
            int(wide),
            int(heads.heads / heads.kv_heads),
        ];
        let grid = (rows.div_ceil(s.rows) as u32, heads.heads as u32, 1);
        let name = format!("{}_{}", s.name, suffix(heads.dtype)?);
        self.launch(Module::Flash, &name, grid, 128, s.shared(), &args)
    }

    /// silu of the first half of every row times the second.
    pub(crate) fn swiglu(
        &self,
        x: &Memory,
        y: &Memory,
        (rows, inner): (usize, usize),
        dtype: DType,
    ) -> Result<()> {
        let vectors = rows * inner / 8;
        let args = [Arg::Address(x.at(0)), Arg::Address(y.at(0)), Arg::Long(vectors as i64), int(inner)];
        self.text(
            &format!("swiglu_{}", suffix(dtype)?),
            vectors.div_ceil(THREADS as usize),
            THREADS,
            0,
            &args,
        )
    }

    /// y = x·Wᵀ, or y += x·Wᵀ where `added`; x in the model's type, y in f32 where `wide`. A quantised matrix is widened
    /// into `room` first.
    pub(crate) fn rows_times(
        &self,
        w: &Rows,
        x: &Memory,
        y: &Memory,
        room: &Memory,
        (rows, wide, added): (usize, bool, bool),
        dtype: DType,
    ) -> Result<()> {
        let mut numbers = w.numbers.at(0);
        if w.form != Form::Plain {
            let [a, b, c] = w.args();
            let name = format!("widened_{}_{}", w.suffix(dtype)?, suffix(dtype)?);
            self.text(&name, w.rows, 128, 0, &[a, b, c, Arg::Address(room.at(0)), int(w.inner)])?;
            numbers = room.at(0);
        }
        self.product(&Product {
            m: rows,
            n: w.rows,
            k: w.inner,
            dtype,
            wide,
            x: x.at(0),
            w: numbers,
            w_row: w.inner,
            turned: true,
            bias: 0,
            rest: if added { y.at(0) } else { 0 },
            y: y.at(0),
        })
    }

    /// Runs `work` once as it is, so that kernels are loaded, and once more to record it.
    pub(crate) fn recorded(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<Recording> {
        work()?;
        let stream = self.shared.device.cuda_stream();
        stream.synchronize().map_err(Error::wrap)?;
        stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED).map_err(Error::wrap)?;
        let done = work();
        let graph = stream.end_capture(CUgraphInstantiate_flags(0)).map_err(Error::wrap);
        done?;
        let graph = graph?.ok_or_else(|| Error::Msg("the driver recorded nothing".to_owned()))?;
        Ok(Recording(graph))
    }
}
