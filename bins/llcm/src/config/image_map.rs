//! An image to be taken in place of another one.

use std::str::FromStr;

use llcm_runtime::ImageReference;

/// `NAME=IMAGE`: where a package asks for the first, the embedded engine runs the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageMapping {
    /// What packages ask for.
    pub(crate) asked: String,
    /// What is run.
    pub(crate) taken: String,
}

impl FromStr for ImageMapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=').map(|(asked, taken)| (asked.trim(), taken.trim())) {
            Some((asked, taken)) if !asked.is_empty() && !taken.is_empty() => {
                // One that no package can ask for, a pattern for instance, would never be found.
                if ImageReference::parse("map image", asked).is_err() {
                    return Err(format!(
                        "`{asked}` cannot be an image's name: each image is named, there are no patterns"
                    ));
                }
                Ok(Self { asked: asked.to_owned(), taken: taken.to_owned() })
            }
            _ => Err("expected NAME=IMAGE (ubuntu:trusty=host)".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_no_image_is_refused() {
        for text in ["ubuntu:trusty=host", "ubuntu=other:1", "localhost:5000/vnf:2 = host"] {
            assert!(text.parse::<ImageMapping>().is_ok(), "{text}");
        }
        for text in ["*=host", "vnf-*=host", "vnf:*=host", "Ubuntu:trusty=host", "a b=host"] {
            let told = text.parse::<ImageMapping>().unwrap_err();
            assert!(told.contains("each image is named"), "{text}: {told}");
        }
        for text in ["ubuntu", "=host", "ubuntu="] {
            assert!(text.parse::<ImageMapping>().unwrap_err().contains("NAME=IMAGE"), "{text}");
        }
    }
}
