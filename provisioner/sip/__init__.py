"""SIP without I/O: messages, transactions, dialogs, sessions; and its sockets."""
