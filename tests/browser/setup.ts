// The SignalR client looks for Node and would then want Node's sockets; these tests are a browser.
Object.defineProperty(process, "release", { value: { name: "browser" } });
