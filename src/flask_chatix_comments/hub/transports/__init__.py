"""How SignalR records reach a client: raw ASGI, no framework."""
