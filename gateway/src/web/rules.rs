//! Rules and presets: made, checked, rehearsed, switched on.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::NaiveDate;
use rusqlite::Connection;
use sen_alerts::Rule;
use sen_alerts::check::Problem;
use sen_alerts::preset::{self, Difference, Preset};
use sen_alerts::text::Lang;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Web;
use super::model::{ApiError, Body, Params};
use super::operator::Operator;
use crate::alarms::presets::{self, PresetError};
use crate::alarms::rehearsal::{Rehearsed, rehearse};
use crate::alarms::rules::{self, Change, Kept, RuleError};
use crate::alarms::{self};
use crate::journal::StoreError;
use crate::reading::{DAY_MS, Millis};

type Answer<T> = Result<Json<T>, ApiError>;
type Id = Result<Path<String>, PathRejection>;

/// A rule is rehearsed on this many days unless others are asked for.
const REHEARSED: Millis = 30 * DAY_MS;
/// The longest that is rehearsed at once: a season and more.
const LONGEST: Millis = 400 * DAY_MS;

fn id(path: Id) -> Result<String, ApiError> {
    path.map(|Path(id)| id)
        .map_err(|e| ApiError::bad_request(e.body_text()))
}

fn failed(e: &RuleError) -> ApiError {
    let (status, code) = match e {
        RuleError::Unknown(_) => (StatusCode::NOT_FOUND, "not_found"),
        RuleError::Conflict { .. } => (StatusCode::CONFLICT, "version"),
        RuleError::Sqlite(_) => (StatusCode::SERVICE_UNAVAILABLE, "journal"),
    };
    ApiError::new(status, code, e.to_string())
}

fn preset_failed(e: &PresetError) -> ApiError {
    let (status, code) = match e {
        PresetError::Shipped(_) => (StatusCode::CONFLICT, "exists"),
        PresetError::Conflict { .. } => (StatusCode::CONFLICT, "version"),
        PresetError::Problems(_) | PresetError::Id(_) => (StatusCode::BAD_REQUEST, "bad_request"),
        PresetError::Sqlite(_) => (StatusCode::SERVICE_UNAVAILABLE, "journal"),
    };
    ApiError::new(status, code, e.to_string())
}

/// Writes within one transaction: an error of ours takes all of it back, as SQLite's does.
async fn write<T, E>(
    web: &Web,
    failed: fn(&E) -> ApiError,
    f: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
) -> Result<T, ApiError>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let done: Result<Result<T, E>, StoreError> = web
        .journal
        .write(move |c| {
            c.execute_batch("SAVEPOINT change")?;
            let done = f(c);
            c.execute_batch(if done.is_ok() {
                "RELEASE change"
            } else {
                "ROLLBACK TO change; RELEASE change"
            })?;
            Ok(done)
        })
        .await;
    let done = done?.map_err(|e| failed(&e))?;
    web.known.refresh(&web.journal).await?;
    Ok(done)
}

/// One sentence a language.
#[derive(Debug, Serialize, ToSchema)]
struct InWords {
    vi: String,
    en: String,
}

impl InWords {
    fn of(say: impl Fn(Lang) -> String) -> Self {
        Self {
            vi: say(Lang::Vi),
            en: say(Lang::En),
        }
    }
}

/// Something wrong or odd about a rule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Remark {
    /// False: the rule may be switched on all the same.
    refused: bool,
    /// Which problem, and its values.
    #[schema(value_type = Object)]
    problem: Problem,
    /// What is wrong, and what to do.
    text: InWords,
}

fn remarks(problems: Vec<Problem>) -> Vec<Remark> {
    let remark = |problem: Problem| Remark {
        refused: !problem.is_warning(),
        text: InWords::of(|lang| problem.say(lang)),
        problem,
    };
    problems.into_iter().map(remark).collect()
}

fn refusal(problems: &[Problem]) -> ApiError {
    let text: Vec<String> = problems
        .iter()
        .filter(|problem| !problem.is_warning())
        .map(ToString::to_string)
        .collect();
    ApiError::bad_request(text.join("; "))
}

/// A rule as it is kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Shown {
    /// `id`, `version`, `at`, `who`, `awake`, and `rule`: `null` in the version that deleted it.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    kept: Kept,
    /// The rule as a sentence.
    sentence: Option<InWords>,
}

impl From<Kept> for Shown {
    fn from(kept: Kept) -> Self {
        let sentence = kept.rule.as_ref();
        Self {
            sentence: sentence.map(|rule| InWords::of(|lang| rule.sentence(lang))),
            kept,
        }
    }
}

/// All rules.
#[utoipa::path(get, path = "/api/v1/rules", responses((status = 200, body = Vec<Shown>)))]
pub(super) async fn list(State(web): State<Web>) -> Answer<Vec<Shown>> {
    let all = web.journal.read(|c| Ok(rules::in_force(c)?)).await?;
    Ok(Json(all.into_iter().map(Shown::from).collect()))
}

/// Every version of a rule, the newest first, 100 at most.
#[utoipa::path(get, path = "/api/v1/rules/{rule}", params(("rule" = String, Path, description = "Rule id")),
    responses((status = 200, body = Vec<Shown>), (status = 404, body = ApiError)))]
pub(super) async fn versions(State(web): State<Web>, rule: Id) -> Answer<Vec<Shown>> {
    let rule = id(rule)?;
    let all = web
        .journal
        .read(move |c| Ok(rules::versions(c, &rule)))
        .await?
        .map_err(|e| failed(&e))?;
    Ok(Json(all.into_iter().map(Shown::from).collect()))
}

/// A new version of a rule.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRule {
    /// The rule.
    #[schema(value_type = Object)]
    rule: Rule,
    /// Whether it is switched on.
    #[serde(default = "yes")]
    awake: bool,
    /// The version that the change was made from: refused if another one is in force by now. 0: there was none.
    base_version: Option<u32>,
    /// Who changes it.
    who: Option<String>,
}

fn yes() -> bool {
    true
}

/// What a change of a rule led to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changed {
    rule: Shown,
    /// What is odd about it.
    warnings: Vec<Remark>,
}

/// Makes or changes a rule.
#[utoipa::path(put, path = "/api/v1/rules", request_body = NewRule,
    responses((status = 200, body = Changed), (status = 400, body = ApiError), (status = 403, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn put(
    State(web): State<Web>,
    operator: Operator,
    Body(new): Body<NewRule>,
) -> Answer<Changed> {
    let now = web.clock.now();
    let checked = alarms::check(new.rule, &web.known.now(), &web.live, now)
        .map_err(|problems| refusal(&problems))?;
    let change = Change {
        rule: checked.rule,
        awake: new.awake,
        base: new.base_version,
        who: operator.signs(new.who),
    };
    let kept = write(&web, failed, move |c| rules::put(c, change, now)).await?;
    Ok(Json(Changed {
        rule: kept.into(),
        warnings: remarks(checked.warnings),
    }))
}

/// Which version is deleted, and by whom.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Deletion {
    /// Refused if another one is in force by now.
    base_version: Option<u32>,
    /// Who deletes it.
    who: Option<String>,
}

/// Deletes a rule; its alarms end, its history stays.
#[utoipa::path(delete, path = "/api/v1/rules/{rule}", params(("rule" = String, Path, description = "Rule id"), Deletion),
    responses((status = 200, body = Shown), (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn delete(
    State(web): State<Web>,
    operator: Operator,
    rule: Id,
    Params(deletion): Params<Deletion>,
) -> Answer<Shown> {
    let (rule, now, who) = (id(rule)?, web.clock.now(), operator.signs(deletion.who));
    let base = deletion.base_version;
    let kept = write(&web, failed, move |c| {
        rules::delete(c, &rule, base, who, now)
    })
    .await?;
    Ok(Json(kept.into()))
}

/// A rule to try.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    /// The rule.
    #[schema(value_type = Object)]
    rule: Rule,
    /// From when it is rehearsed, ms UTC; 30 days before `to` unless said.
    from: Option<Millis>,
    /// Until when, ms UTC; now unless said.
    to: Option<Millis>,
}

/// What a rule says, whether it makes sense, and what it would have done.
#[derive(Serialize, ToSchema)]
pub(super) struct Tried {
    /// With its values in canonical units; `null` if it is refused.
    #[schema(value_type = Option<Object>)]
    rule: Option<Rule>,
    /// As a sentence.
    sentence: InWords,
    /// What is wrong or odd.
    remarks: Vec<Remark>,
    /// What was rehearsed, ms UTC.
    from: Millis,
    to: Millis,
    /// In figures and alarm by alarm: `summary` with `messages`, `at_night` (22:00 to 05:00), `alarmed` (ms), `series` by
    /// node. `null` if the rule is refused.
    #[schema(value_type = Option<Object>)]
    rehearsal: Option<Rehearsed>,
}

/// Tries a rule without keeping it.
#[utoipa::path(post, path = "/api/v1/rules/try", request_body = Trial,
    responses((status = 200, body = Tried), (status = 400, body = ApiError)))]
pub(super) async fn attempt(State(web): State<Web>, Body(trial): Body<Trial>) -> Answer<Tried> {
    let now = web.clock.now();
    let to = trial.to.unwrap_or(now);
    let from = trial.from.unwrap_or(to.saturating_sub(REHEARSED));
    if from >= to || to.saturating_sub(from) > LONGEST {
        return Err(ApiError::bad_request(
            "from must lie before to, by 400 days at most",
        ));
    }
    let known = web.known.now();
    let sentence = InWords::of(|lang| trial.rule.sentence(lang));
    let mut tried = Tried {
        rule: None,
        sentence,
        remarks: Vec::new(),
        from,
        to,
        rehearsal: None,
    };
    match alarms::check(trial.rule, &known, &web.live, now) {
        Err(problems) => tried.remarks = remarks(problems),
        Ok(checked) => {
            let done = rehearse(&web.journal, &known, &web.live, &checked.rule, (from, to)).await?;
            tried.rehearsal = Some(done);
            tried.remarks = remarks(checked.warnings);
            tried.rule = Some(checked.rule);
        }
    }
    Ok(Json(tried))
}

/// A preset: thresholds of a crop.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Offered {
    /// Its id, version, stages and rules, each with its source and whether that was verified.
    #[schema(value_type = Object)]
    preset: Preset,
    /// What it is called.
    title: InWords,
    /// Each rule as a sentence, in the preset's order.
    sentences: Vec<InWords>,
    /// It comes with Sen.
    shipped: bool,
    /// Who changed it last.
    who: Option<String>,
    /// When, ms UTC.
    at: Option<Millis>,
    /// What differs from the preset that it is a copy of.
    #[schema(value_type = Vec<Object>)]
    differences: Vec<Difference>,
    /// Sen brings a newer version of the preset that it is a copy of.
    newer: Option<u32>,
}

fn offered(preset: Preset, kept: Option<(String, Millis)>) -> Offered {
    let original = preset
        .based_on
        .as_ref()
        .and_then(|b| preset::find(&b.preset));
    let rules = preset.rules("", None);
    let nowhere = |rule: &Rule| InWords::of(|lang| rule.sentence_at(lang, ""));
    let (who, at) = kept.unzip();
    Offered {
        title: InWords::of(|lang| preset.title(lang).to_owned()),
        sentences: rules.iter().map(nowhere).collect(),
        shipped: who.is_none(),
        who,
        at,
        differences: original.map_or_else(Vec::new, |original| preset.differences(original)),
        newer: preset.newer().map(|newer| newer.version),
        preset,
    }
}

/// All presets: Sen's, then people's own.
#[utoipa::path(get, path = "/api/v1/presets", responses((status = 200, body = Vec<Offered>)))]
pub(super) async fn offer(State(web): State<Web>) -> Answer<Vec<Offered>> {
    let own = web.journal.read(|c| Ok(presets::own(c)?)).await?;
    let shipped = preset::shipped().iter().cloned();
    let all = shipped.map(|preset| offered(preset, None)).chain(
        own.into_iter()
            .map(|kept| offered(kept.preset, Some((kept.who, kept.at)))),
    );
    Ok(Json(all.collect()))
}

/// A preset of people's own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPreset {
    /// The preset, with the version that it was changed from.
    #[schema(value_type = Object)]
    preset: Preset,
    /// Who changes it.
    who: Option<String>,
}

/// Makes or changes a preset of people's own. Plots that follow it keep their rules until it is put on them again.
#[utoipa::path(put, path = "/api/v1/presets", request_body = NewPreset,
    responses((status = 200, body = Offered), (status = 400, body = ApiError), (status = 403, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn keep(
    State(web): State<Web>,
    operator: Operator,
    Body(new): Body<NewPreset>,
) -> Answer<Offered> {
    let (now, who) = (web.clock.now(), operator.signs(new.who));
    let kept = write(&web, preset_failed, move |c| {
        presets::put(c, new.preset, who, now)
    })
    .await?;
    Ok(Json(offered(kept.preset, Some((kept.who, kept.at)))))
}

/// A crop on a plot.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Planted {
    /// Id of the preset.
    preset: String,
    /// The day that the crop was sown, or the pond stocked: `YYYY-MM-DD`.
    #[schema(value_type = Option<String>)]
    sown: Option<NaiveDate>,
    /// Whether its rules are switched on at once.
    #[serde(default = "yes")]
    awake: bool,
    /// Who does it.
    who: Option<String>,
}

/// Puts a preset's rules on a plot. Those of the same preset that were there are replaced and keep their alarms.
#[utoipa::path(put, path = "/api/v1/plots/{plot}/preset", params(("plot" = String, Path, description = "Plot id")), request_body = Planted,
    responses((status = 200, body = Vec<Changed>), (status = 400, body = ApiError), (status = 403, body = ApiError), (status = 404, body = ApiError)))]
pub(super) async fn plant(
    State(web): State<Web>,
    operator: Operator,
    plot: Id,
    Body(planted): Body<Planted>,
) -> Answer<Vec<Changed>> {
    let (plot, now, known) = (id(plot)?, web.clock.now(), web.known.now());
    if known.plot(&plot).is_none() {
        return Err(ApiError::not_found(format!("there is no plot `{plot}`")));
    }
    let own = web.journal.read(|c| Ok(presets::own(c)?)).await?;
    let found = preset::find(&planted.preset).cloned().or_else(|| {
        let own = own.into_iter().map(|kept| kept.preset);
        own.into_iter().find(|own| own.id == planted.preset)
    });
    let preset = found
        .ok_or_else(|| ApiError::not_found(format!("there is no preset `{}`", planted.preset)))?;
    let who = operator.signs(planted.who);
    let mut changes = Vec::new();
    let mut warnings = Vec::new();
    for rule in preset.rules(&plot, planted.sown) {
        let checked =
            alarms::check(rule, &known, &web.live, now).map_err(|problems| refusal(&problems))?;
        warnings.push(remarks(checked.warnings));
        changes.push(Change {
            rule: checked.rule,
            awake: planted.awake,
            base: None,
            who: who.clone(),
        });
    }
    let sown = planted.sown;
    let kept = write(&web, failed, move |c| {
        if let Some(sown) = sown {
            c.execute(
                "UPDATE plot SET sown = ?2 WHERE id = ?1",
                [&plot, &sown.to_string()],
            )?;
        }
        let put = |change| rules::put(c, change, now);
        changes.into_iter().map(put).collect::<Result<Vec<_>, _>>()
    })
    .await?;
    let changed = kept.into_iter().zip(warnings);
    let changed = changed.map(|(kept, warnings)| Changed {
        rule: kept.into(),
        warnings,
    });
    Ok(Json(changed.collect()))
}
