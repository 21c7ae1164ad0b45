// The HTTP API in front of the functions.
import * as apigateway from "aws-cdk-lib/aws-apigatewayv2";
import { HttpJwtAuthorizer } from "aws-cdk-lib/aws-apigatewayv2-authorizers";
import { HttpLambdaIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import { Construct } from "constructs";
import type { Issuer } from "./access.ts";
import { deployment, routedPaths, type FunctionName } from "./deployment.ts";
import type { Functions } from "./functions/functions.ts";

export class Api extends Construct {
  readonly http: apigateway.HttpApi;

  constructor(scope: Construct, id: string, prefix: string, functions: Functions, issuer?: Issuer) {
    super(scope, id);
    const integration = (name: FunctionName) => new HttpLambdaIntegration(name, functions.byName[name]);
    this.http = new apigateway.HttpApi(this, "http", {
      apiName: prefix,
      // It also answers 404 for every path that no function has.
      defaultIntegration: integration(deployment.defaultFunction),
    });
    const authorizer = issuer && new HttpJwtAuthorizer("clients", issuer.issuer, { jwtAudience: [issuer.audience] });
    for (const [path, route] of routedPaths) {
      this.http.addRoutes({
        path,
        // Any method: HEAD, OPTIONS and the refusal of other methods are the function's own answers.
        integration: integration(route.function),
        // The functions check the same themselves, for what the gateway routes by default as well.
        ...(authorizer && route.scope ? { authorizer, authorizationScopes: [route.scope] } : {}),
      });
    }
  }
}
