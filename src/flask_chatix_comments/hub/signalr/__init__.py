"""ASP.NET Core SignalR without I/O: text goes in, messages and text come out.

No socket, no await, no clock. References are to the specification's files ``TransportProtocols.md`` and
``HubProtocol.md``.
"""
