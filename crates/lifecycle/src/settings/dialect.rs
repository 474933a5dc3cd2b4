//! What a dialect's services have of their own: settings that lie over those of the server.

use serde::{Deserialize, Serialize};

use super::{Dialect, PlacementSettings, Settings};

/// Settings of one dialect's services; `None`: as the server's [`Settings`] say.
///
/// One server may have a listener for each of the originals, whose users are used to different things. What is
/// said for a dialect goes before what is said for the server, wherever either of them was said.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DialectSettings {
    /// See [`Settings::placement`].
    pub placement: Option<PlacementSettings>,
    /// See [`Settings::bidirectional_chain`].
    pub bidirectional_chain: Option<bool>,
    /// See [`super::SapSettings::deploy`].
    pub deploy_saps: Option<bool>,
    /// See [`Settings::docker_management`].
    pub docker_management: Option<bool>,
    /// See [`Settings::auto_deploy`].
    pub auto_deploy: Option<bool>,
    /// See [`Settings::auto_delete`].
    pub auto_delete: Option<bool>,
    /// See [`Settings::build_images`].
    pub build_images: Option<bool>,
    /// See [`Settings::force_pull`].
    pub force_pull: Option<bool>,
}

/// Puts a value in the place of a more general one, when there is one.
fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl Settings {
    /// What is said for one dialect alone.
    #[must_use]
    pub fn only(&self, dialect: Dialect) -> &DialectSettings {
        match dialect {
            Dialect::Tango => &self.tango,
            Dialect::Sonata => &self.sonata,
        }
    }

    /// Whether services of some dialect have access points.
    #[must_use]
    pub fn any_saps(&self) -> bool {
        [Dialect::Tango, Dialect::Sonata]
            .into_iter()
            .any(|dialect| self.only(dialect).deploy_saps.unwrap_or(self.saps.deploy))
    }

    /// The settings that hold for a dialect's services: what is said for the dialect, laid over the rest.
    ///
    /// ```
    /// use llcm_lifecycle::{Dialect, Settings};
    ///
    /// let mut settings = Settings::default();
    /// settings.sonata.force_pull = Some(true);
    /// assert!(settings.of(Dialect::Sonata).force_pull);
    /// assert!(!settings.of(Dialect::Tango).force_pull);
    /// ```
    #[must_use]
    pub fn of(&self, dialect: Dialect) -> Self {
        let mut settings = self.clone();
        // Taken apart without `..`: a setting that is forgotten here does not compile.
        let DialectSettings {
            placement,
            bidirectional_chain,
            deploy_saps,
            docker_management,
            auto_deploy,
            auto_delete,
            build_images,
            force_pull,
        } = self.only(dialect).clone();
        set(&mut settings.placement, placement);
        settings.bidirectional_chain = bidirectional_chain.or(settings.bidirectional_chain);
        set(&mut settings.saps.deploy, deploy_saps);
        set(&mut settings.docker_management, docker_management);
        set(&mut settings.auto_deploy, auto_deploy);
        set(&mut settings.auto_delete, auto_delete);
        set(&mut settings.build_images, build_images);
        set(&mut settings.force_pull, force_pull);
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_for_a_dialect_goes_before_what_is_said_for_the_server() {
        let placement = |algorithm: &str| PlacementSettings {
            algorithm: algorithm.to_owned(),
            ..PlacementSettings::default()
        };
        let settings = Settings {
            placement: placement("first"),
            auto_deploy: true,
            docker_management: true,
            force_pull: true,
            tango: DialectSettings {
                placement: Some(placement("round-robin")),
                auto_deploy: Some(false),
                bidirectional_chain: Some(false),
                ..DialectSettings::default()
            },
            sonata: DialectSettings {
                auto_delete: Some(true),
                build_images: Some(true),
                deploy_saps: Some(true),
                docker_management: Some(false),
                ..DialectSettings::default()
            },
            ..Settings::default()
        };
        let said = |dialect| {
            let of = settings.of(dialect);
            // Again, it changes nothing.
            assert_eq!(of.of(dialect), of);
            let words =
                [of.auto_deploy, of.auto_delete, of.docker_management, of.build_images, of.force_pull];
            (of.placement.algorithm, of.bidirectional_chain, words)
        };
        let tango = ("round-robin".to_owned(), Some(false), [false, false, true, false, true]);
        assert_eq!(said(Dialect::Tango), tango);
        assert_eq!([Dialect::Tango, Dialect::Sonata].map(|it| settings.of(it).saps.deploy), [false, true]);
        assert!(settings.any_saps() && !Settings::default().any_saps());
        assert_eq!(said(Dialect::Sonata), ("first".to_owned(), None, [true, true, false, true, true]));
    }

    #[test]
    fn both_originals_have_the_same_defaults_but_for_the_chain() {
        let settings = Settings::default();
        for dialect in [Dialect::Tango, Dialect::Sonata] {
            assert_eq!(settings.of(dialect), settings);
        }
        let Settings { docker_management, auto_deploy, auto_delete, build_images, force_pull, .. } = settings;
        assert_eq!([docker_management, auto_deploy, auto_delete, build_images, force_pull], [false; 5]);
    }
}
