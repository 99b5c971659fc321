"""Nothing acts without a person: approvals are kept, addressed, shown, decided, carried out."""
