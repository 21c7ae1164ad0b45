// The CDK app: `cdk deploy -c deployment=NAME`, with `-c endpoint=URL` for an emulator, with
// `-c functions=no` for the storage alone.
import { App } from "aws-cdk-lib";
import { fileURLToPath } from "node:url";
import { EquilibriumStack } from "../lib/equilibrium-stack.ts";

const app = new App();
const said = (name: string) => app.node.tryGetContext(name) as string | undefined;
const deployment = said("deployment") ?? "equilibrium";
const endpoint = said("endpoint");
const code = said("code") ?? fileURLToPath(new URL("../../target/lambda", import.meta.url));

new EquilibriumStack(app, deployment, {
  deployment,
  shards: Number(said("shards") ?? 2),
  lanes: Number(said("lanes") ?? 64),
  ...(said("functions") === "no" ? {} : { code }),
  ...(endpoint ? { endpoint } : {}),
});
