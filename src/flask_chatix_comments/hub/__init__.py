"""The built-in hub: a chat service of the Chatix kind for one website.

It shares ``errors``, ``models``, ``wire`` and ``tokens`` with the Flask side and meets it over HTTP.
A message travels one way: transport, connection, dispatcher, service, store; its echo goes service,
backplane, broadcast, transport.
"""
