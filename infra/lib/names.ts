// The names that the functions know, too: `names.json`, which a Rust test holds against theirs.
import { readFileSync } from "node:fs";

interface Table {
  partition: string;
  partitionType: "S" | "N";
  sort?: string;
  sortType?: "S" | "N";
  /** The attribute of the table's time to live. */
  expires?: string;
}

/** How a function reads a stream. */
export interface Mapping {
  stream: string;
  batchSize: number;
  batchingWindowSeconds: number;
  bisectOnError: boolean;
  reportBatchItemFailures: boolean;
  /** Under the stream's own retention: what is given up can still be read where the queue says. */
  maximumRecordAgeSeconds: number;
  onFailure: string;
}

interface Names {
  tables: Record<string, Table>;
  streams: string[];
  queues: string[];
  mappings: Record<string, Mapping>;
  variables: Record<"deployment" | "lanes" | "cacheUrls" | "deadLettersUrl", string>;
}

const file = new URL("../names.json", import.meta.url);

export const names = JSON.parse(readFileSync(file, "utf8")) as Names;
