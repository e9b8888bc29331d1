//! [`TEXT`]: the task itself.

use super::ask::Ask;
use super::prefix;
use super::request::{Decoding, Request};
use super::settings::{Settings, SettingsPatch};
use crate::input::{Input, InputError};
use crate::task::definition::{Drawn, Noun, Row, Task, TaskRef};
use crate::task::object::{self, Object};
use crate::task::prompts::{PromptsError, passages};

/// Token ids in, token ids out.
pub struct Text;

/// Token ids in, token ids out.
pub static TEXT: Text = Text;

impl Request {
    /// As contests and plans hold it.
    ///
    /// # Errors
    /// [`InputError`]: a value out of range.
    pub fn checked(&self) -> Result<object::RequestSpec, InputError> {
        TaskRef::new(&TEXT).request(&Input::json("request", &Object::of(self)?.to_value()))
    }
}

impl Ask {
    /// As plans hold it.
    ///
    /// # Errors
    /// [`InputError`]: a value out of range.
    pub fn checked(&self) -> Result<object::Ask, InputError> {
        TaskRef::new(&TEXT).ask(&Input::json("ask", &Object::of(self)?.to_value()))
    }
}

impl Settings {
    /// As contests and plans hold them.
    ///
    /// # Errors
    /// [`InputError`]: a value out of range.
    pub fn checked(&self) -> Result<object::Settings, InputError> {
        TaskRef::new(&TEXT).settings(&Input::json("settings", &Object::of(self)?.to_value()))
    }
}

impl Task for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn answer(&self) -> Noun {
        Noun { one: "text", several: "texts" }
    }

    fn unit(&self) -> Option<Noun> {
        Some(Noun { one: "token", several: "tokens" })
    }

    fn extension(&self) -> &'static str {
        "json"
    }

    fn read_request(&self, input: &Input<'_>) -> Result<Object, InputError> {
        let request: Request = input.read()?;
        request.check(input)?;
        Object::of(&request)
    }

    fn read_settings(&self, input: &Input<'_>) -> Result<Object, InputError> {
        let settings: Settings = input.read()?;
        settings.check(input)?;
        Object::of(&settings)
    }

    fn read_patch(&self, input: &Input<'_>) -> Result<Object, InputError> {
        let patch: SettingsPatch = input.read()?;
        patch.over_the_usual().check(input)?;
        Object::of(&patch)
    }

    fn read_ask(&self, input: &Input<'_>) -> Result<Object, InputError> {
        let ask: Ask = input.read()?;
        ask.check(input)?;
        Object::of(&ask)
    }

    fn asks(&self, _: &object::RequestSpec, file: &str, text: &str) -> Result<Vec<Object>, PromptsError> {
        let prompts = passages(file, text)?;
        Ok(prompts.into_iter().map(|prompt| Object::from_iter([("prompt", prompt.into())])).collect())
    }

    /// A prompt that is asked twice would be answered by what is left of the first time, and prove nothing twice.
    fn asks_once(&self) -> bool {
        true
    }

    /// Short ones do, and what a small model says once a text has ended.
    fn answers_coincide(&self) -> bool {
        true
    }

    fn draw(
        &self,
        request: &object::RequestSpec,
        ask: &Object,
        drawn: &Drawn<'_>,
    ) -> Result<Object, InputError> {
        let prompt = ask.get("prompt").and_then(|prompt| prompt.as_str()).unwrap_or_default();
        let input = Input::json("request", &serde_json::Value::Null);
        let ask = request.view::<Request>()?.drawn(prompt, drawn);
        let ask = ask.map_err(|problem| input.bad("prompts", "prompts that a tokenizer reads", problem))?;
        self.read_ask(&Input::json("ask", &Object::of(&ask)?.to_value()))
    }

    fn check_drawn(&self, file: &str, asks: &[&object::Ask]) -> Result<(), PromptsError> {
        let mut asks: Vec<Ask> = asks.iter().filter_map(|ask| ask.view().ok()).collect();
        prefix::check(file, &mut asks)
    }

    fn request_rows(&self, request: &object::RequestSpec) -> Vec<Row> {
        let Ok(request) = request.view::<Request>() else { return Vec::new() };
        let mut rows = vec![Row::new(
            "decoding",
            match request.decoding {
                Decoding::Greedy => "greedy".to_owned(),
                Decoding::Sampled { temperature } => {
                    format!("sampled at temperature {temperature}, with the same noise for all")
                }
            },
        )];
        let end = if request.ignore_eos { "does not end an answer" } else { "ends an answer" };
        rows.push(Row::new("end-of-text token", end));
        for ((name, prompt, length), weight) in
            request.kinds().into_iter().zip(request.strata.iter().map(|s| s.weight).chain([1]))
        {
            let name =
                name.map_or(String::new(), |name| format!("{name}, {weight} of {}: ", total(&request)));
            rows.push(Row::new(
                "asked",
                format!("{name}prompts of at most {prompt} tokens, {} new ones", length.words()),
            ));
        }
        if request.scored > 0 {
            rows.push(Row::new(
                "scored",
                format!("{} texts of one session of each, untimed", request.scored),
            ));
        }
        rows
    }

    fn settings_rows(&self, settings: &object::Settings) -> Vec<Row> {
        let Ok(settings) = settings.view::<Settings>() else { return Vec::new() };
        let mut rows = vec![Row::new("weights", settings.weights.to_string())];
        if settings.rope_factor != Settings::default().rope_factor {
            rows.push(Row::new("positions", format!("brought nearer by {}", settings.rope_factor)));
        }
        if settings.lookup > 0 {
            rows.push(Row::new("guesses ahead", format!("{} tokens, from the text itself", settings.lookup)));
        }
        rows
    }

    fn ask_words(&self, ask: &object::Ask) -> String {
        ask.object().get("prompt").and_then(|prompt| prompt.as_str()).unwrap_or_default().to_owned()
    }

    fn scored(&self, request: &object::RequestSpec) -> u32 {
        request.view::<Request>().map_or(0, |request| request.scored)
    }

    fn kind<'a>(&self, ask: &'a object::Ask) -> Option<&'a str> {
        ask.object().get("stratum").and_then(|stratum| stratum.as_str())
    }
}

fn total(request: &Request) -> u32 {
    request.strata.iter().map(|stratum| stratum.weight).sum()
}
