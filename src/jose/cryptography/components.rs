use zeroize::Zeroizing;

/// A number of a private key, big-endian.
type Number = Zeroizing<Vec<u8>>;

/// The numbers of a private key and of its public key, in the form that RFC 7518 section 6 gives them.
pub(in crate::jose) enum KeyComponents {
    /// The public key is a point without compression.
    P256 {
        private: Number,
        public: Number,
    },
    /// The public key is a point without compression.
    P384 {
        private: Number,
        public: Number,
    },
    Ed25519 {
        seed: Number,
        public: Number,
    },
    Rsa(RsaComponents),
}

/// The numbers of an RSA key (RFC 7518 section 6.3).
pub(in crate::jose) struct RsaComponents {
    pub(in crate::jose) n: Number,
    pub(in crate::jose) e: Number,
    pub(in crate::jose) d: Number,
    pub(in crate::jose) p: Number,
    pub(in crate::jose) q: Number,
    pub(in crate::jose) dp: Number,
    pub(in crate::jose) dq: Number,
    pub(in crate::jose) qi: Number,
}

/// The numbers of a public key.
pub(in crate::jose) enum PublicComponents {
    /// A point without compression.
    Elliptic(Vec<u8>),
    Ed25519(Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}
