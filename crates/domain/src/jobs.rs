//! Import and export jobs as they are stored: what the client asked for, and what follows from it (spec/30-segments.md
//! §6, §7).

use model::pinpoint::{ExportJobResource, ImportJobRequest, ImportJobResource};

use crate::endpoints::Invalid;
use crate::ids::SegmentId;
use crate::import::Format;

/// An import job as it is stored.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportDocument {
    /// The request, with the ids that were given to the job at once (spec/97 C21).
    pub definition: ImportJobResource,
    /// The version of the segment that the job fills.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_version: Option<u32>,
}

/// An export job as it is stored.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExportDocument {
    pub definition: ExportJobResource,
}

/// What an import does with its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effects {
    /// Endpoints are made and changed; otherwise rows only name endpoints that exist.
    pub register: bool,
    /// The rows become members of a segment.
    pub define: bool,
}

/// What an import job is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportPlan {
    pub format: Format,
    pub s3_url: String,
    pub register: bool,
    /// The segment and version that the rows are added to.
    pub segment: Option<(SegmentId, u32)>,
}

/// What an export job is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPlan {
    pub s3_url_prefix: String,
    /// `None`: every endpoint of the application.
    pub segment: Option<SegmentId>,
    pub segment_version: Option<u32>,
}

impl Effects {
    /// A missing `DefineSegment` counts as true, a missing `RegisterEndpoints` as what `DefineSegment` says: who imports new
    /// addresses into a segment need not ask for both (spec/30 §6, spec/97 C22).
    pub fn of(request: &ImportJobRequest) -> Result<Self, Invalid> {
        let define = request.define_segment.unwrap_or(true);
        let register = request.register_endpoints.unwrap_or(define);
        if !define && !register {
            return Err(Invalid::new("At least one of DefineSegment and RegisterEndpoints must be true"));
        }
        if !define && request.segment_id.is_some() {
            return Err(Invalid::new("SegmentId needs DefineSegment"));
        }
        Ok(Self { register, define })
    }
}

impl ImportDocument {
    pub fn plan(&self) -> Result<ImportPlan, Invalid> {
        let ImportJobResource { define_segment, register_endpoints, segment_id, .. } = &self.definition;
        let Effects { register, define } = Effects::of(&ImportJobRequest {
            define_segment: *define_segment,
            register_endpoints: *register_endpoints,
            ..ImportJobRequest::default()
        })?;
        let format = self.definition.format.as_str();
        let format = Format::parse(format).ok_or_else(|| Invalid(format!("Unknown Format {format:?}")))?;
        let segment = segment_id.as_deref().map(SegmentId::new).zip(self.segment_version).filter(|_| define);
        Ok(ImportPlan { format, s3_url: self.definition.s3_url.clone(), register, segment })
    }
}

impl ExportDocument {
    pub fn plan(&self) -> ExportPlan {
        ExportPlan {
            s3_url_prefix: self.definition.s3_url_prefix.clone(),
            segment: self.definition.segment_id.as_deref().map(SegmentId::new),
            segment_version: self.definition.segment_version.map(|version| version as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_follows_from_what_is() {
        let effects = |define_segment, register_endpoints| {
            let request =
                ImportJobRequest { define_segment, register_endpoints, ..ImportJobRequest::default() };
            Effects::of(&request).ok().map(|effects| (effects.define, effects.register))
        };
        for (define, register, expected) in [
            (None, None, Some((true, true))),
            (Some(true), None, Some((true, true))),
            (Some(true), Some(false), Some((true, false))),
            (None, Some(false), Some((true, false))),
            (None, Some(true), Some((true, true))),
            (Some(false), Some(true), Some((false, true))),
            (Some(false), None, None),
            (Some(false), Some(false), None),
        ] {
            assert_eq!(effects(define, register), expected, "{define:?} {register:?}");
        }
    }
}
