// The facts about the template that the functions rely on.
import { App, Stack } from "aws-cdk-lib";
import { Match, Template } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { deployment } from "../lib/deployment.ts";
import { type EquilibriumProps, EquilibriumStack } from "../lib/equilibrium-stack.ts";

const functionNames = Object.keys(deployment.functions);

const code = mkdtempSync(join(tmpdir(), "equilibrium-code-"));
for (const name of functionNames) {
  mkdirSync(join(code, name));
  writeFileSync(join(code, name, "bootstrap"), name);
  // An empty archive.
  writeFileSync(join(code, name, "bootstrap.zip"), Buffer.from("504b0506" + "00".repeat(18), "hex"));
}
writeFileSync(join(code, "architecture"), "x86-64\n");
after(() => rmSync(code, { recursive: true }));

const synthesised = (props: Partial<EquilibriumProps>) =>
  Template.fromStack(
    new EquilibriumStack(new App(), "test", { deployment: "test", shards: 2, lanes: 64, ...props }),
  );
const issuer = {
  issuer: "https://idp.example.com/",
  audience: "equilibrium",
  keys: "https://idp.example.com/jwks.json",
};
const onAws = () => synthesised({ code, access: { issuer } });
const onEmulator = () => synthesised({ code, endpoint: "http://127.0.0.1:4566" });

/** The logical id of each function, by its name in the list. */
function logicalIds(template: Template): Map<string, string> {
  const functions = Object.entries(template.findResources("AWS::Lambda::Function"));
  return new Map(functions.map(([id, { Properties }]) => [Properties.FunctionName.slice("test-".length), id]));
}

/** The environment of each function, by its name in the list. */
function environments(template: Template): Map<string, Record<string, unknown>> {
  const functions = Object.values(template.findResources("AWS::Lambda::Function"));
  return new Map(
    functions.map(({ Properties }) => [
      Properties.FunctionName.slice("test-".length),
      Properties.Environment.Variables,
    ]),
  );
}

test("every table, stream, queue and secret has the name that the functions use", () => {
  const template = onAws();
  for (const table of Object.keys(deployment.tables)) {
    template.hasResourceProperties("AWS::DynamoDB::Table", { TableName: `test-${table}` });
  }
  for (const stream of Object.keys(deployment.streams)) {
    template.hasResourceProperties("AWS::Kinesis::Stream", { Name: `test-${stream}` });
  }
  for (const queue of Object.keys(deployment.queues)) {
    template.hasResourceProperties("AWS::SQS::Queue", { QueueName: `test-${queue}` });
  }
  for (const secret of Object.keys(deployment.secrets)) {
    template.hasResourceProperties("AWS::SecretsManager::Secret", { Name: `test-${secret}` });
  }
});

test("every function has the timeout and the memory that the list gives it", () => {
  const template = onAws();
  template.resourceCountIs("AWS::Lambda::Function", functionNames.length);
  for (const [name, { timeoutSeconds, memoryMb }] of Object.entries(deployment.functions)) {
    template.hasResourceProperties("AWS::Lambda::Function", {
      FunctionName: `test-${name}`,
      Timeout: timeoutSeconds,
      MemorySize: memoryMb,
    });
  }
});

test("every function receives the variables that it requires", () => {
  const received = environments(onAws());
  for (const [variable, { functions, required }] of Object.entries(deployment.variables)) {
    for (const name of required ? functions : []) {
      assert.ok(received.get(name)?.[variable], `${name} lacks ${variable}`);
    }
  }
});

test("every variable of a function's environment is listed", () => {
  for (const [name, environment] of environments(onAws())) {
    const variables = Object.keys(environment).filter((variable) => variable.startsWith("EQUILIBRIUM_"));
    for (const variable of variables) {
      assert.ok(variable in deployment.variables, `${name} receives ${variable}`);
    }
  }
});

test("checkpoint entries are keyed by log and number, and expire", () => {
  onAws().hasResourceProperties("AWS::DynamoDB::Table", {
    TableName: "test-checkpoints",
    KeySchema: [
      { AttributeName: "log", KeyType: "HASH" },
      { AttributeName: "n", KeyType: "RANGE" },
    ],
    TimeToLiveSpecification: { AttributeName: "expires", Enabled: true },
  });
});

test("streams are processed in order, and discarded batches are reported", () => {
  const template = onAws();
  template.resourceCountIs("AWS::Lambda::EventSourceMapping", Object.keys(deployment.mappings).length);
  template.allResourcesProperties("AWS::Lambda::EventSourceMapping", {
    Enabled: true,
    StartingPosition: "TRIM_HORIZON",
    ParallelizationFactor: 1,
    BisectBatchOnFunctionError: true,
    FunctionResponseTypes: ["ReportBatchItemFailures"],
    DestinationConfig: { OnFailure: { Destination: Match.anyValue() } },
  });
});

test("every mapped function reads the stream that the list gives it", () => {
  const template = onAws();
  const functions = logicalIds(template);
  const streams = template.findResources("AWS::Kinesis::Stream");
  const mappings = Object.values(template.findResources("AWS::Lambda::EventSourceMapping"));
  for (const [name, { stream }] of Object.entries(deployment.mappings)) {
    const mapping = mappings.find(({ Properties }) => Properties.FunctionName.Ref === functions.get(name));
    const source: string = mapping?.Properties.EventSourceArn["Fn::GetAtt"][0];
    assert.equal(streams[source]?.Properties.Name, `test-${stream}`);
  }
});

test("a function that is named receives its stream by enhanced fan-out", () => {
  onAws().resourceCountIs("AWS::Kinesis::StreamConsumer", 0);
  const template = synthesised({ code, access: { issuer }, fanOut: ["surge"] });
  template.hasResourceProperties("AWS::Kinesis::StreamConsumer", { ConsumerName: "test-surge" });
  const [consumer] = Object.keys(template.findResources("AWS::Kinesis::StreamConsumer"));
  template.hasResourceProperties("AWS::Lambda::EventSourceMapping", {
    EventSourceArn: { "Fn::GetAtt": [consumer, "ConsumerARN"] },
    FunctionName: { Ref: logicalIds(template).get("surge") },
  });
  template.hasResourceProperties("AWS::IAM::Policy", {
    PolicyDocument: {
      Statement: Match.arrayWith([
        Match.objectLike({ Action: Match.arrayWith(["kinesis:SubscribeToShard"]), Effect: "Allow" }),
      ]),
    },
  });
  synthesised({ code, fanOut: ["surge"], endpoint: "http://127.0.0.1:4566" }).resourceCountIs(
    "AWS::Kinesis::StreamConsumer",
    0,
  );
  assert.throws(() => synthesised({ code, fanOut: ["price"] }), /no mapped function price/);
});

test("event source mappings are disabled on an emulator", () => {
  onEmulator().allResourcesProperties("AWS::Lambda::EventSourceMapping", { Enabled: false });
});

test("functions trust Amazon's root certificates on AWS and call the emulator on an emulator", () => {
  const aws = [...environments(onAws()).values()];
  assert.ok(aws.every((set) => set.SSL_CERT_FILE === "/var/task/amazon-roots.pem" && !set.AWS_ENDPOINT_URL));
  const emulator = [...environments(onEmulator()).values()];
  assert.ok(emulator.every((set) => set.AWS_ENDPOINT_URL && !set.SSL_CERT_FILE));
});

test("functions are deployed for the architecture that they were built for", () => {
  onAws().allResourcesProperties("AWS::Lambda::Function", { Architectures: ["x86_64"] });
  const unknown = mkdtempSync(join(tmpdir(), "equilibrium-code-"));
  assert.throws(() => synthesised({ code: unknown, access: { issuer } }), /names no architecture/);
  rmSync(unknown, { recursive: true });
});

test("the log of every function expires, and Lambda adds a line only for what fails", () => {
  const template = onAws();
  template.resourceCountIs("AWS::Logs::LogGroup", functionNames.length);
  template.allResourcesProperties("AWS::Logs::LogGroup", { RetentionInDays: 14 });
  template.allResourcesProperties("AWS::Lambda::Function", {
    LoggingConfig: { LogFormat: "JSON", SystemLogLevel: "WARN" },
  });
});

test("price has no permission to write", () => {
  const policies = Object.entries(onAws().findResources("AWS::IAM::Policy"));
  const [, price] = policies.find(([id]) => id.startsWith("functionsprice")) ?? assert.fail("no policy");
  const actions = price.Properties.PolicyDocument.Statement.flatMap(
    (statement: { Action: string | string[] }) => statement.Action,
  );
  assert.ok(actions.includes("dynamodb:GetItem"));
  const writing = /Put|Update|Delete|BatchWrite|Send/;
  assert.deepEqual(actions.filter((action: string) => writing.test(action)), []);
});

test("policy writes policies and overrides alone, and deletes nothing", () => {
  const policies = Object.entries(onAws().findResources("AWS::IAM::Policy"));
  const [, policy] = policies.find(([id]) => id.startsWith("functionspolicy")) ?? assert.fail("no policy");
  const statements: { Action: string | string[]; Resource: unknown }[] = policy.Properties.PolicyDocument.Statement;
  const writing = statements.filter(({ Action }) => [Action].flat().some((action) => /Put|Update/.test(action)));
  assert.equal(writing.length, 2);
  for (const { Resource } of writing) {
    assert.match(JSON.stringify(Resource), /policies|overrides/);
  }
  assert.doesNotMatch(JSON.stringify(statements), /Delete|BatchWrite|Scan.*policies/);
});

test("quote writes confirmed quotes and events alone, and deletes nothing", () => {
  const policies = Object.entries(onAws().findResources("AWS::IAM::Policy"));
  const [, quote] = policies.find(([id]) => id.startsWith("functionsquote")) ?? assert.fail("no policy");
  const statements: { Action: string | string[]; Resource: unknown }[] = quote.Properties.PolicyDocument.Statement;
  const writing = statements.filter(({ Action }) => [Action].flat().some((action) => /Put|Update/.test(action)));
  assert.deepEqual(writing.map(({ Resource }) => /quotes|events/.exec(JSON.stringify(Resource))?.[0]).sort(), [
    "events",
    "quotes",
  ]);
  assert.doesNotMatch(JSON.stringify(statements), /Delete|BatchWrite/);
});

test("a key is generated from hexadecimal digits alone", () => {
  const secrets = Object.values(onAws().findResources("AWS::SecretsManager::Secret"));
  const printable = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index));
  const lengths = secrets.map(({ Properties }) => {
    const { ExcludeCharacters, PasswordLength, RequireEachIncludedType } = Properties.GenerateSecretString;
    const left = printable.filter((character) => !ExcludeCharacters.includes(character)).join("");
    assert.deepEqual([left, RequireEachIncludedType], ["0123456789abcdef", false]);
    return PasswordLength;
  });
  assert.deepEqual(lengths.sort(), [32, 64]);
});

test("one function alone can read each key", () => {
  const policies = Object.entries(onAws().findResources("AWS::IAM::Policy"));
  for (const [secret, reader] of [
    ["pseudonymkey", /ingest/],
    ["quotekey", /quote/],
  ] as const) {
    const readers = policies
      .filter(([, { Properties }]) =>
        Properties.PolicyDocument.Statement.some(
          ({ Action, Resource }: { Action: unknown; Resource: unknown }) =>
            JSON.stringify(Action).includes("secretsmanager:") && JSON.stringify(Resource).includes(secret),
        ),
      )
      .map(([id]) => id);
    assert.equal(readers.length, 1, secret);
    assert.match(readers[0]!, reader);
  }
});

test("every path reaches the function that the list gives it, whatever the method", () => {
  const template = onAws();
  const functions = logicalIds(template);
  const integrations = template.findResources("AWS::ApiGatewayV2::Integration");
  const targets = new Map(
    Object.values(template.findResources("AWS::ApiGatewayV2::Route")).map(({ Properties }) => {
      const integration: string = Properties.Target["Fn::Join"][1][1].Ref;
      return [Properties.RouteKey, integrations[integration]?.Properties.IntegrationUri["Fn::GetAtt"][0]];
    }),
  );
  for (const { path, function: name } of deployment.routes) {
    assert.equal(targets.get(`ANY ${path}`) ?? targets.get("$default"), functions.get(name), path);
  }
  assert.equal(targets.get("$default"), functions.get(deployment.defaultFunction));
});

test("the gateway requires the scope that the list gives a path", () => {
  const routes = new Map(
    Object.values(onAws().findResources("AWS::ApiGatewayV2::Route")).map(({ Properties }) => [
      Properties.RouteKey,
      Properties,
    ]),
  );
  for (const { path, scope } of deployment.routes) {
    const properties = routes.get(`ANY ${path}`);
    assert.deepEqual(properties?.AuthorizationScopes, scope && [scope], path);
    assert.equal(properties?.AuthorizationType, scope ? "JWT" : "NONE", path);
  }
  onAws().hasResourceProperties("AWS::ApiGatewayV2::Authorizer", {
    AuthorizerType: "JWT",
    JwtConfiguration: { Audience: [issuer.audience], Issuer: issuer.issuer },
  });
});

test("a function that answers requests checks tokens itself, and none is checked on an emulator", () => {
  for (const name of new Set(deployment.routes.map((route) => route.function))) {
    const environment = environments(onAws()).get(name);
    assert.equal(environment?.EQUILIBRIUM_AUTH_ISSUER, issuer.issuer);
    assert.equal(environment?.EQUILIBRIUM_AUTH_AUDIENCE, issuer.audience);
    assert.equal(environment?.EQUILIBRIUM_AUTH_KEYS, issuer.keys);
    assert.equal(environment?.EQUILIBRIUM_AUTH, undefined);
    const emulated = environments(onEmulator()).get(name);
    assert.equal(emulated?.EQUILIBRIUM_AUTH, "off");
    assert.equal(emulated?.EQUILIBRIUM_RATE_LIMITS, "off");
  }
  onEmulator().resourceCountIs("AWS::ApiGatewayV2::Authorizer", 0);
});

test("a stack for an account needs an issuer, or the choice to serve every client", () => {
  assert.throws(() => synthesised({ code }), /no issuer of tokens/);
  const open = synthesised({ code, withoutTokens: true });
  assert.equal(environments(open).get("price")?.EQUILIBRIUM_AUTH, "off");
  open.resourceCountIs("AWS::ApiGatewayV2::Authorizer", 0);
});

test("a stack without functions holds storage alone", () => {
  const template = synthesised({});
  template.resourceCountIs("AWS::Lambda::Function", 0);
  template.resourceCountIs("AWS::DynamoDB::Table", Object.keys(deployment.tables).length);
});

test("lanes must be a power of two and at least four times the shards", () => {
  assert.throws(() => synthesised({ lanes: 64, shards: 17 }), /four times/);
  assert.throws(() => synthesised({ lanes: 48 }), /power of two/);
  assert.ok(Stack.isStack(new EquilibriumStack(new App(), "ok", { deployment: "d", shards: 16, lanes: 64 })));
});
