//! A build without CUDA: nothing of this can exist.
use super::Columns;
use crate::nn::Activation;
use candle_core::{DType, Device, Result, Tensor};

/// No GPU.
#[derive(Debug, Clone)]
pub(crate) enum Cuda {}

/// No recorded step.
pub(crate) enum Replay {}

impl Cuda {
    pub(crate) fn of(_: &Device) -> Result<Option<Self>> {
        Ok(None)
    }
    pub(crate) fn allowing_tf32(&self) -> Self {
        match *self {}
    }
    pub(crate) fn settings(&self, _: DType) -> Vec<(&'static str, String)> {
        match *self {}
    }
    pub(crate) fn fits(&self, _: usize, _: DType) -> bool {
        match *self {}
    }
    pub(crate) fn linear(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: Option<&Tensor>,
        _: Option<&Tensor>,
    ) -> Result<Tensor> {
        match *self {}
    }
    pub(crate) fn activate(&self, _: Tensor, _: Activation) -> Result<Tensor> {
        match *self {}
    }
    pub(crate) fn geglu(&self, _: &Tensor) -> Result<Tensor> {
        match *self {}
    }
    pub(crate) fn beside(&self, _: &Tensor, _: &Tensor) -> Result<Tensor> {
        match *self {}
    }
    pub(crate) fn enlarge(&self, _: &Tensor, _: usize, _: usize) -> Result<Tensor> {
        match *self {}
    }
    pub(crate) fn convolve(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: Option<&Tensor>,
        _: usize,
        _: Option<&Tensor>,
    ) -> Result<Tensor> {
        match *self {}
    }
    pub(crate) fn group_norm(
        &self,
        _: &Tensor,
        _: Option<&Tensor>,
        _: (&Tensor, &Tensor),
        _: usize,
        _: f64,
        _: bool,
    ) -> Result<Tensor> {
        match *self {}
    }
    pub(crate) fn layer_norm(&self, _: &Tensor, _: (&Tensor, &Tensor), _: f64) -> Result<Tensor> {
        match *self {}
    }
    pub(crate) fn attends(&self, _: usize, _: usize, _: DType) -> bool {
        match *self {}
    }
    pub(crate) fn attend(
        &self,
        _: Columns,
        _: Columns,
        _: Columns,
        _: (usize, usize),
        _: bool,
    ) -> Result<Tensor> {
        match *self {}
    }
    pub(crate) fn aside<T, E>(
        &self,
        _: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        match *self {}
    }
    pub(crate) fn trim(&self) -> Result<()> {
        match *self {}
    }
    pub(crate) fn record(&self, _: &mut dyn FnMut() -> crate::Result<Tensor>) -> crate::Result<Replay> {
        match *self {}
    }
}

impl Replay {
    pub(crate) fn run(&self) -> Result<&Tensor> {
        match *self {}
    }
}
