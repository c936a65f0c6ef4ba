//! The upstream's regions and the host of each.

/// A data centre of the upstream. The host must belong to the app's data centre, else it answers 60026.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// As the key `region` spells it.
    pub name: &'static str,
    /// Base URL.
    pub endpoint: &'static str,
}

/// Every region with a known host, from the upstream's REST pages. The list there has grown before: `endpoint` takes
/// any other host.
pub const REGIONS: [Region; 9] = [
    Region { name: "china", endpoint: "https://console.tim.qq.com" },
    Region { name: "singapore", endpoint: "https://adminapisgp.im.qcloud.com" },
    Region { name: "seoul", endpoint: "https://adminapikr.im.qcloud.com" },
    Region { name: "tokyo", endpoint: "https://adminapijpn.im.qcloud.com" },
    Region { name: "frankfurt", endpoint: "https://adminapiger.im.qcloud.com" },
    Region { name: "silicon_valley", endpoint: "https://adminapiusa.im.qcloud.com" },
    Region { name: "jakarta", endpoint: "https://adminapiidn.im.qcloud.com" },
    Region { name: "riyadh", endpoint: "https://adminapiksa.im.qcloud.com" },
    Region { name: "mumbai", endpoint: "https://adminapiind.im.qcloud.com" },
];

impl Region {
    pub fn named(name: &str) -> Option<&'static Self> {
        REGIONS.iter().find(|region| region.name == name)
    }

    /// All names, for a fault.
    pub fn names() -> String {
        REGIONS.map(|region| region.name).join(" ")
    }
}
