// The CDK app: `cdk deploy -c deployment=NAME`; `-c endpoint=URL` deploys to an emulator, `-c functions=no`
// deploys the storage alone, `-c fanOut=surge` or `-c fanOut=count,surge` pushes the streams to these functions.
import { App } from "aws-cdk-lib";
import { fileURLToPath } from "node:url";
import { EquilibriumStack } from "../lib/equilibrium-stack.ts";

const app = new App();
const context = (name: string) => app.node.tryGetContext(name) as string | undefined;
const deployment = context("deployment") ?? "equilibrium";
const endpoint = context("endpoint");
const code = context("code") ?? fileURLToPath(new URL("../../target/lambda", import.meta.url));

new EquilibriumStack(app, deployment, {
  deployment,
  shards: Number(context("shards") ?? 2),
  lanes: Number(context("lanes") ?? 64),
  fanOut: context("fanOut")?.split(",") ?? [],
  ...(context("functions") === "no" ? {} : { code }),
  ...(endpoint ? { endpoint } : {}),
});
