// `deployment.json`: the one list of a deployment's functions, routes, names, mappings and variables.
//
// The keys of the list are types here: a construct that names a table, stream, queue, function or variable which
// the list lacks does not compile, nor does a list whose values have other types than those below. References
// within the list are strings to the compiler; they are checked once, when this file is loaded.
import json from "../deployment.json" with { type: "json" };

export type FunctionName = keyof typeof json.functions;
export type TableName = keyof typeof json.tables;
export type StreamName = keyof typeof json.streams;
export type QueueName = keyof typeof json.queues;
export type SecretName = keyof typeof json.secrets;
export type VariableName = keyof typeof json.variables;
/** A function that reads a stream. */
export type MappedFunctionName = keyof typeof json.mappings & FunctionName;

export interface FunctionSettings {
  /** The Cargo package that builds it. */
  package: string;
  timeoutSeconds: number;
  /** 1,769 MB are one whole core (AWS Lambda developer guide, "Configure Lambda function memory"). */
  memoryMb: number;
}

/** An operation of the HTTP API. */
export interface Route {
  method: string;
  /** In the syntax of OpenAPI, as `/v1/cities/{city}`. */
  path: string;
  function: FunctionName;
  /** The scope that a client needs (CONTRACT §5); absent for a route that is open to every client. */
  scope?: string;
}

export interface Key {
  name: string;
  type: "S" | "N";
}

export interface Table {
  partitionKey: Key;
  sortKey?: Key;
  timeToLiveAttribute?: string;
}

export interface Stream {
  /** Checkpoint entries are kept longer (CONTRACT §3): a replay of the whole stream finds the state it built. */
  retentionHours: number;
  /** As many as the deployment asks for, unless given. */
  shards?: number;
}

export interface Queue {
  retentionDays: number;
}

/** A secret whose value is generated. */
export interface Secret {
  /** Length of the value: each digit is four random bits. */
  hexDigits: number;
  description: string;
}

/** An event source mapping of Lambda: how a function reads a stream. */
export interface Mapping {
  stream: StreamName;
  batchSize: number;
  batchingWindowSeconds: number;
  bisectOnError: boolean;
  reportBatchItemFailures: boolean;
  /** Less than the stream's retention, so that discarded records can still be read from the stream. */
  maximumRecordAgeSeconds: number;
  /** The queue that receives the positions of discarded records. */
  onFailure: QueueName;
}

/** A variable of the functions' environment. */
export interface Variable {
  /** The functions that read it. */
  functions: FunctionName[];
  /** Whether these functions fail at startup without it. */
  required: boolean;
  default?: string | number | boolean;
}

export interface Deployment {
  functions: Record<FunctionName, FunctionSettings>;
  /** A function answers every method of its paths, `OPTIONS` and refused ones too: a path has one function, and one scope. */
  routes: Route[];
  /** The function that answers every other path. */
  defaultFunction: FunctionName;
  tables: Record<TableName, Table>;
  streams: Record<StreamName, Stream>;
  queues: Record<QueueName, Queue>;
  secrets: Record<SecretName, Secret>;
  mappings: Record<MappedFunctionName, Mapping>;
  variables: Record<VariableName, Variable>;
}

/** `T` as the compiler sees it in a JSON file: every literal is just a string. */
export type AsJson<T> = T extends string ? string : T extends object ? { [K in keyof T]: AsJson<T[K]> } : T;

export const deployment = checked(json);

/** The paths with a route of their own in the gateway: of other functions than the default one, or of clients with a scope. */
export const routedPaths: ReadonlyMap<string, Pick<Route, "function" | "scope">> = new Map(
  deployment.routes
    .filter((route) => route.function !== deployment.defaultFunction || route.scope)
    .map((route) => [route.path, route]),
);

/** The list, if every reference in it leads somewhere; otherwise an error that names every one that does not. */
export function checked(list: AsJson<Deployment>): Deployment {
  const faults: string[] = [];
  const expect = (holds: boolean, fault: string) => {
    if (!holds) {
      faults.push(fault);
    }
  };
  const isFunction = (name: string, place: string) =>
    expect(Object.hasOwn(list.functions, name), `${place}: no function ${name}`);

  isFunction(list.defaultFunction, "defaultFunction");
  for (const route of list.routes) {
    const place = `${route.method} ${route.path}`;
    isFunction(route.function, place);
    const others = list.routes.filter((other) => other.path === route.path);
    expect(
      others.every((other) => other.function === route.function),
      `${place}: the path has two functions`,
    );
    const scope = (other: { scope?: string }) => other.scope;
    expect(
      others.every((other) => scope(other) === scope(route)),
      `${place}: the path has two scopes`,
    );
  }
  for (const [name, table] of Object.entries(list.tables)) {
    for (const key of [table.partitionKey, ...(table.sortKey ? [table.sortKey] : [])]) {
      expect(["S", "N"].includes(key.type), `table ${name}: no key type ${key.type}`);
    }
  }
  for (const [name, mapping] of Object.entries(list.mappings)) {
    const place = `mapping ${name}`;
    isFunction(name, place);
    expect(Object.hasOwn(list.queues, mapping.onFailure), `${place}: no queue ${mapping.onFailure}`);
    const stream = Object.entries(list.streams).find(([stream]) => stream === mapping.stream)?.[1];
    expect(stream !== undefined, `${place}: no stream ${mapping.stream}`);
    const retentionSeconds = (stream?.retentionHours ?? Infinity) * 3600;
    expect(mapping.maximumRecordAgeSeconds < retentionSeconds, `${place}: records may outlive their stream`);
  }
  for (const [name, variable] of Object.entries(list.variables)) {
    for (const reader of variable.functions) {
      isFunction(reader, name);
    }
  }
  if (faults.length > 0) {
    throw new Error(`deployment.json: ${faults.join("; ")}`);
  }
  return list as Deployment;
}

/** `record` with each value replaced by what `make` returns for it. */
export function mapValues<K extends string, A, B>(
  record: Record<K, A>,
  make: (key: K, value: A) => B,
): Record<K, B> {
  const entries = Object.entries(record) as [K, A][];
  return Object.fromEntries(entries.map(([key, value]) => [key, make(key, value)])) as Record<K, B>;
}
