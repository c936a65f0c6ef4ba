//! What the vendors say when they refuse: numbers and words from the manual, section 8.

/// A number and the words beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: i64,
    pub(super) words: &'static str,
}

const fn says(code: i64, words: &'static str) -> Failure {
    Failure { code, words }
}

/// How one vendor fails.
#[derive(Debug)]
pub(super) struct Vendor {
    /// `PushPlatform`.
    pub(super) platform: u8,
    /// How often a device belongs to it, against the other vendors.
    pub(super) weight: u32,
    /// Share of sends that the vendor refuses.
    pub(super) refusal_share: f64,
    /// What it says to a send that it refuses.
    pub(super) refusals: &'static [(u32, Failure)],
    /// What its receipts say when the device did not take the push; empty where only successes are reported.
    pub(super) receipts: &'static [(u32, Failure)],
    /// What it says when the app's credential is wrong.
    pub(super) credential: Failure,
    /// What it says when it is down itself.
    pub(super) down: Failure,
    /// False where the device never reports reach.
    pub(super) reports_reach: bool,
}

/// No certificate id was reported by the client; found before the vendor is asked.
pub(super) const NO_CERTIFICATE: Failure = says(-1, "certificate id not set");
/// No device token was uploaded; found before the vendor is asked.
pub(super) const NO_TOKEN: Failure = says(-2, "token not uploaded");
/// The IM server could not take the message.
pub(super) const IM_INTERNAL: Failure = says(90994, "internal service error");

/// The vendor behind a `PushPlatform`; `None` for numbers without a vendor.
pub(super) fn vendor(platform: u8) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.platform == platform)
}

/// The number of the vendor of that name, as the exporter's label `platform` spells it.
pub(super) fn number_of(name: &str) -> Option<u8> {
    const NAMES: [&str; 8] = ["apns", "xiaomi", "huawei", "fcm", "meizu", "oppo", "vivo", "honor"];
    (1..).zip(NAMES).find(|(_, known)| *known == name).map(|(number, _)| number)
}

pub(super) static VENDORS: [Vendor; 8] = [
    Vendor {
        platform: 1,
        weight: 30,
        refusal_share: 0.05,
        refusals: &[
            (40, says(410, "Unregistered")),
            (22, says(400, "BadDeviceToken")),
            (6, says(400, "DeviceTokenNotForTopic")),
            (4, says(400, "BadTopic")),
            (2, says(400, "PayloadEmpty")),
            (2, says(400, "BadExpirationDate")),
            (3, says(400, "IdleTimeout")),
            (5, says(403, "ExpiredProviderToken")),
            (3, says(403, "InvalidProviderToken")),
            (2, says(404, "BadPath")),
            (4, says(410, "ExpiredToken")),
            (3, says(413, "PayloadTooLarge")),
            (5, says(429, "TooManyRequests")),
            (2, says(429, "TooManyProviderTokenUpdates")),
            (3, says(500, "InternalServerError")),
        ],
        receipts: &[],
        credential: says(403, "InvalidProviderToken"),
        down: says(503, "ServiceUnavailable"),
        reports_reach: true,
    },
    Vendor {
        platform: 2,
        weight: 14,
        refusal_share: 0.08,
        refusals: &[
            (14, says(1, "regid_invalid")),
            (20, says(10029, "device not found")),
            (14, says(65003, "device offline")),
            (14, says(10027, "daily quota exceeded")),
            (6, says(26004, "quota exceeded")),
            (4, says(10031, "app blacklisted")),
            (3, says(26006, "needs review")),
            (5, says(10016, "missing required parameter")),
            (4, says(27001, "channel mismatch")),
            (4, says(22022, "package name does not match")),
            (4, says(10001, "system error")),
            (3, says(-1, "unknown error")),
        ],
        receipts: &[],
        credential: says(21301, "auth failed"),
        down: says(10002, "service unavailable"),
        reports_reach: true,
    },
    Vendor {
        platform: 3,
        weight: 16,
        refusal_share: 0.06,
        refusals: &[
            (50, says(80300007, "All the tokens are invalid")),
            (6, says(80200003, "OAuth token expired")),
            (5, says(80300010, "The number of tokens in the message body exceeds the default value")),
            (6, says(80100016, "The message contains sensitive information")),
            (3, says(80300008, "The message body size exceeds the default value")),
            (5, says(81000001, "internal error")),
        ],
        receipts: HUAWEI_RECEIPTS,
        credential: says(80200001, "OAuth authentication error"),
        down: says(81000001, "internal error"),
        reports_reach: true,
    },
    Vendor {
        platform: 4,
        weight: 12,
        refusal_share: 0.10,
        refusals: &[
            (45, says(404, "UNREGISTERED")),
            (8, says(403, "SENDER_ID_MISMATCH")),
            (12, says(400, "INVALID_ARGUMENT: The registration token is not a valid FCM registration token")),
            (5, says(400, "INVALID_ARGUMENT: Invalid value at 'message.android.ttl'")),
            (10, says(429, "QUOTA_EXCEEDED")),
            (4, says(500, "INTERNAL")),
            // The manual does not know which number FCM's words get; this one comes without.
            (3, says(0, "UNSPECIFIED_ERROR")),
        ],
        receipts: &[],
        credential: says(401, "THIRD_PARTY_AUTH_ERROR"),
        down: says(503, "UNAVAILABLE"),
        reports_reach: false,
    },
    Vendor {
        platform: 5,
        weight: 3,
        refusal_share: 0.12,
        refusals: &[
            (30, says(110002, "pushId is invalid")),
            (15, says(110003, "pushId is illegal")),
            (12, says(110010, "sending too fast")),
            (4, says(110009, "app is in the black list")),
            (6, says(110004, "argument is invalid")),
            (4, says(1001, "system error")),
        ],
        receipts: &[],
        credential: says(110000, "appId is invalid"),
        down: says(1003, "server is busy"),
        reports_reach: true,
    },
    Vendor {
        platform: 6,
        weight: 11,
        refusal_share: 0.07,
        refusals: &[
            (35, says(10000, "Invalid registration id")),
            (20, says(33, "Exceed daily quota")),
            (6, says(13, "Call rate exceeded")),
            (5, says(28, "App disabled")),
            (6, says(41, "Invalid arguments")),
            (4, says(-1, "Service currently unavailable")),
        ],
        receipts: &[],
        credential: says(14, "Invalid app key"),
        down: says(-1, "Service currently unavailable"),
        reports_reach: true,
    },
    Vendor {
        platform: 7,
        weight: 10,
        refusal_share: 0.09,
        refusals: &[
            (35, says(10302, "regId is illegal")),
            (25, says(10070, "total volume exceeded")),
            (8, says(10073, "frequency exceeded")),
            (8, says(10101, "content did not pass the review")),
            (4, says(10103, "content is sensitive")),
            (4, says(10102, "internal error")),
        ],
        receipts: &[],
        credential: says(10000, "authentication failed"),
        down: says(10102, "internal error"),
        reports_reach: true,
    },
    Vendor {
        platform: 8,
        weight: 5,
        refusal_share: 0.04,
        refusals: &[
            (50, says(80300007, "All the tokens are invalid")),
            (8, says(80200003, "access token expired")),
            (6, says(81000001, "internal error")),
        ],
        receipts: HUAWEI_RECEIPTS,
        credential: says(80200001, "authentication error"),
        down: says(81000001, "internal error"),
        reports_reach: true,
    },
];

const HUAWEI_RECEIPTS: &[(u32, Failure)] = &[
    (25, says(2, "app not installed")),
    (12, says(5, "token does not exist on the device")),
    (25, says(6, "notification is switched off")),
    (15, says(10, "device is inactive")),
    (3, says(14, "internal network error")),
    (8, says(15, "replaced while offline")),
    (4, says(27, "process does not exist, message cached")),
    (2, says(31, "message is not supported")),
    (6, says(102, "frequency cap of the device")),
    (3, says(144, "profile does not match")),
    (6, says(201, "sending is controlled")),
];
