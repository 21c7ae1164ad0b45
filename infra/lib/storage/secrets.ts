// The secrets of a deployment, each generated when it is created.
import { RemovalPolicy } from "aws-cdk-lib";
import * as secretsmanager from "aws-cdk-lib/aws-secretsmanager";
import type { Construct } from "constructs";
import { deployment, mapValues, type SecretName } from "../deployment.ts";

/** All printable characters of ASCII but the hexadecimal digits. An emulator knows no other way to exclude them. */
const noHexDigits = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index))
  .filter((character) => !/[0-9a-f]/.test(character))
  .join("");

export function createSecrets(scope: Construct, prefix: string): Record<SecretName, secretsmanager.Secret> {
  return mapValues(
    deployment.secrets,
    (name, secret) =>
      new secretsmanager.Secret(scope, name, {
        secretName: `${prefix}-${name}`,
        description: secret.description,
        generateSecretString: {
          passwordLength: secret.hexDigits,
          excludeCharacters: noHexDigits,
          excludePunctuation: true,
          excludeUppercase: true,
          requireEachIncludedType: false,
        },
        // A key is of no use without the streams, which are destroyed, too.
        removalPolicy: RemovalPolicy.DESTROY,
      }),
  );
}
