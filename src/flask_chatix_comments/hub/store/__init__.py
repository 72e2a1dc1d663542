"""Where the hub keeps chatrooms, messages, members and visitors."""
