//! Role of a client, as its certificate's subject states it.

/// Who a client certificate speaks for: the organizational unit (OU) of its subject. Checked for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientRole {
    /// The operator's controllers: log in, manage, generate.
    Controllers,
    /// A gateway replica: uses keys as a delegate and nothing else (D12).
    Gateway,
    /// The cluster's owner with their own tools.
    Owner,
    /// The operator on port 2224, under the operator CA (D7).
    Provisioning,
}

impl ClientRole {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Controllers, Self::Gateway, Self::Owner, Self::Provisioning];

    /// The OU value that states this role.
    #[must_use]
    pub fn organizational_unit(self) -> &'static str {
        match self {
            Self::Controllers => "controllers",
            Self::Gateway => "gateway",
            Self::Owner => "owner",
            Self::Provisioning => "provisioning",
        }
    }

    /// The role that an OU value states; exact and case-sensitive, `None` for anything else.
    #[must_use]
    pub fn from_organizational_unit(value: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.organizational_unit() == value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_round_trips_and_near_misses_are_no_role() {
        for role in ClientRole::ALL {
            let text = role.organizational_unit();
            assert_eq!(ClientRole::from_organizational_unit(text), Some(role));
            assert_eq!(ClientRole::from_organizational_unit(&text.to_uppercase()), None);
            assert_eq!(ClientRole::from_organizational_unit(&format!("{text} ")), None);
        }
    }
}
