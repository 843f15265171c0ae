"""A run shared out: what is asked of it, what that costs, and which shard or job gets what."""
