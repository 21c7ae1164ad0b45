// The CDK app: `cdk deploy -c deployment=NAME`; `-c endpoint=URL` deploys to an emulator, `-c functions=no`
// deploys the storage alone; `-c issuer=URL -c audience=NAME -c keys=URL` names the issuer of clients' tokens, `-c auth=off` serves
// every client, `-c rateLimits=JSON` sets how often clients may call; `-c fanOut=surge` or `-c fanOut=count,surge` pushes the streams to these functions.
import { App } from "aws-cdk-lib";
import { fileURLToPath } from "node:url";
import { EquilibriumStack } from "../lib/equilibrium-stack.ts";

const app = new App();
const context = (name: string) => app.node.tryGetContext(name) as string | undefined;
const deployment = context("deployment") ?? "equilibrium";
const endpoint = context("endpoint");
const code = context("code") ?? fileURLToPath(new URL("../../target/lambda", import.meta.url));

const [issuer, audience, keys] = [context("issuer"), context("audience"), context("keys")];
const given = [issuer, audience, keys].filter((part) => part !== undefined).length;
if (given === 1 || given === 2) {
  throw new Error("issuer, audience and keys belong together: give all three, or none");
}
const rateLimits = context("rateLimits");

new EquilibriumStack(app, deployment, {
  deployment,
  shards: Number(context("shards") ?? 2),
  lanes: Number(context("lanes") ?? 64),
  fanOut: context("fanOut")?.split(",") ?? [],
  access: {
    ...(issuer && audience && keys ? { issuer: { issuer, audience, keys } } : {}),
    ...(rateLimits ? { rateLimits } : {}),
  },
  withoutTokens: context("auth") === "off",
  ...(context("functions") === "no" ? {} : { code }),
  ...(endpoint ? { endpoint } : {}),
});
