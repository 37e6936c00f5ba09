// Runs stripe-stateful-mock on one loopback port and prints it. Its own start script listens on every interface.
const { createExpressApp } = require("stripe-stateful-mock");
require("loglevel").setLevel("silent");

const server = createExpressApp().listen(0, "127.0.0.1", () => console.log(server.address().port));
