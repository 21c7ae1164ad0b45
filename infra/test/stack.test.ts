// What the template holds: the few facts that the functions rest on.
import { App, Stack } from "aws-cdk-lib";
import { Match, Template } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { EquilibriumStack } from "../lib/equilibrium-stack.ts";
import { names } from "../lib/names.ts";

const code = mkdtempSync(join(tmpdir(), "equilibrium-code-"));
for (const name of ["ingest", "count", "surge", "price"]) {
  mkdirSync(join(code, name));
  writeFileSync(join(code, name, "bootstrap"), name);
  // An empty archive.
  writeFileSync(join(code, name, "bootstrap.zip"), Buffer.from("504b0506" + "00".repeat(18), "hex"));
}
after(() => rmSync(code, { recursive: true }));

const made = (props: { endpoint?: string; code?: string; shards?: number; lanes?: number }) =>
  Template.fromStack(
    new EquilibriumStack(new App(), "test", { deployment: "test", shards: 2, lanes: 64, ...props }),
  );
const onAws = () => made({ code });
const onEmulator = () => made({ code, endpoint: "http://127.0.0.1:4566" });

test("every table, stream and queue has the name that the functions look for", () => {
  const template = onAws();
  for (const table of Object.keys(names.tables)) {
    template.hasResourceProperties("AWS::DynamoDB::Table", { TableName: `test-${table}` });
  }
  for (const stream of names.streams) {
    template.hasResourceProperties("AWS::Kinesis::Stream", { Name: `test-${stream}` });
  }
  for (const queue of names.queues) {
    template.hasResourceProperties("AWS::SQS::Queue", { QueueName: `test-${queue}` });
  }
});

test("checkpoints are one log by number, and expire", () => {
  onAws().hasResourceProperties("AWS::DynamoDB::Table", {
    TableName: "test-checkpoints",
    KeySchema: [
      { AttributeName: "log", KeyType: "HASH" },
      { AttributeName: "n", KeyType: "RANGE" },
    ],
    TimeToLiveSpecification: { AttributeName: "expires", Enabled: true },
  });
});

test("streams go to their functions in order, and what is given up is told of", () => {
  const template = onAws();
  template.resourceCountIs("AWS::Lambda::EventSourceMapping", 2);
  template.allResourcesProperties("AWS::Lambda::EventSourceMapping", {
    Enabled: true,
    StartingPosition: "TRIM_HORIZON",
    ParallelizationFactor: 1,
    BisectBatchOnFunctionError: true,
    FunctionResponseTypes: ["ReportBatchItemFailures"],
    DestinationConfig: { OnFailure: { Destination: Match.anyValue() } },
  });
});

test("an emulator's own mappings are disabled", () => {
  onEmulator().allResourcesProperties("AWS::Lambda::EventSourceMapping", { Enabled: false });
});

test("functions trust Amazon's roots on AWS and call the emulator on an emulator", () => {
  const variables = (template: Template) =>
    Object.values(template.findResources("AWS::Lambda::Function")).map(
      (resource) => resource.Properties.Environment.Variables,
    );
  const there = variables(onAws());
  assert.equal(there.length, 4);
  assert.ok(there.every((set) => set.SSL_CERT_FILE === "/var/task/amazon-roots.pem" && !set.AWS_ENDPOINT_URL));
  assert.ok(variables(onEmulator()).every((set) => set.AWS_ENDPOINT_URL && !set.SSL_CERT_FILE));
});

test("price can change nothing", () => {
  const policies = Object.entries(onAws().findResources("AWS::IAM::Policy"));
  const [, price] = policies.find(([id]) => id.startsWith("functionsprice")) ?? assert.fail("no policy");
  const actions = price.Properties.PolicyDocument.Statement.flatMap(
    (statement: { Action: string | string[] }) => statement.Action,
  );
  assert.ok(actions.includes("dynamodb:GetItem"));
  const writing = /Put|Update|Delete|BatchWrite|Send/;
  assert.deepEqual(actions.filter((action: string) => writing.test(action)), []);
});

test("posted events go to ingest and all else to price", () => {
  const template = onAws();
  template.hasResourceProperties("AWS::ApiGatewayV2::Route", { RouteKey: "ANY /v1/events" });
  template.hasResourceProperties("AWS::ApiGatewayV2::Route", { RouteKey: "$default" });
});

test("without functions there is storage alone", () => {
  const template = made({});
  template.resourceCountIs("AWS::Lambda::Function", 0);
  template.resourceCountIs("AWS::DynamoDB::Table", 3);
});

test("too few lanes for the shards, or no power of two, are refused", () => {
  assert.throws(() => made({ lanes: 64, shards: 17 }), /four times/);
  assert.throws(() => made({ lanes: 48 }), /power of two/);
  assert.ok(Stack.isStack(new EquilibriumStack(new App(), "ok", { deployment: "d", shards: 16, lanes: 64 })));
});
