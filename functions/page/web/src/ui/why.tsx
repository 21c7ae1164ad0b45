/** Why a cell has its price: the rule in four steps, worked out from the counts on the map (CONTRACT §3). */
import type { City, SurgeRule } from "../api.ts";
import type { Balance } from "../model/surge-rule.ts";
import { tenths, times } from "./format.ts";

const DISTANCES = ["here", "next door", "two away", "three away", "four away", "five away", "six away"];

interface WhyProps {
  city: City;
  balance: Balance;
  multiplier: number;
  limits: { floor: number; cap: number };
  /** The zone whose limits are not the city's. */
  zone: string | undefined;
}

export function Why({ city, balance, multiplier, limits, zone }: WhyProps) {
  const { surge } = city;
  const { demand, supply, pressure, raw } = balance;
  return (
    <>
      <h3>Why {times(multiplier)}</h3>
      <ol class="why">
        <li>
          <b>
            {tenths(demand)} {demand === 1 ? "rider asks" : "riders ask"}, {tenths(supply)}{" "}
            {supply === 1 ? "driver counts" : "drivers count"}
          </b>
          <Counts balance={balance} weights={surge.ring_weights} />
        </li>
        <li>
          <b>
            Pressure <output data-step="pressure">{pressure.toFixed(2)}</output>
          </b>
          <span>
            ({tenths(demand)} + {plain(surge.prior * surge.balanced_ratio)}) ÷ ({tenths(supply)} + {plain(surge.prior)}
            ); balance is {plain(surge.balanced_ratio)}
          </span>
        </li>
        <li>
          <b>
            Balancing price <output data-step="raw">{raw.toFixed(2)}×</output>
          </b>
          <span>
            <Curve rule={surge} pressure={pressure} />
            {balance.curve < 1 && ", at least 1×"}
            {balance.curve > balance.most && `, at most ${plain(balance.most)}×`}
          </span>
        </li>
        <li>
          <b>
            Published <output data-step="published">{times(multiplier)}</output>
          </b>
          <span>
            follows it by half in {halfLife(surge.half_life_up_ms)} up, {halfLife(surge.half_life_down_ms)} down, in
            steps of {plain(surge.step)}, from {times(limits.floor)} to {times(limits.cap)}
            {zone === undefined ? "" : ` in ${zone}`}
          </span>
        </li>
      </ol>
    </>
  );
}

function Counts({ balance: { rings }, weights }: { balance: Balance; weights: number[] }) {
  return (
    <table class="counts">
      <thead>
        <tr>
          <th scope="col">
            <span class="hidden">Where</span>
          </th>
          <th scope="col">weight</th>
          <th scope="col">riders</th>
          <th scope="col">drivers</th>
        </tr>
      </thead>
      <tbody>
        {weights.map((weight, k) => (
          <tr key={k}>
            <th scope="row">{DISTANCES[k]}</th>
            <td>{k === 0 && weight === 1 ? "" : `×${plain(weight)}`}</td>
            <td>{rings[k]?.demand.toLocaleString("en")}</td>
            <td>{rings[k]?.supply.toLocaleString("en")}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** How the curve makes a multiplier of the pressure. */
function Curve({ rule, pressure }: { rule: SurgeRule; pressure: number }) {
  const ratio =
    rule.balanced_ratio === 1 ? pressure.toFixed(2) : `(${pressure.toFixed(2)} ÷ ${plain(rule.balanced_ratio)})`;
  switch (rule.curve) {
    case "equilibrium":
      return (
        <>
          {ratio}
          <sup>1 ÷ {plain(rule.demand_elasticity + rule.supply_elasticity)}</sup>: as many riders stay as drivers come
        </>
      );
    case "linear":
      return (
        <>
          1 + {plain(rule.slope)} × ({ratio} − 1)
        </>
      );
    case "exponential":
      return (
        <>
          e
          <sup>
            {plain(rule.k)} × ({ratio} − 1)
          </sup>
        </>
      );
    case "table":
      return <>read from the city’s table at {pressure.toFixed(2)}</>;
  }
}

/** A parameter without digits that mean nothing. */
function plain(value: number): string {
  return String(Number(value.toFixed(4)));
}

function halfLife(milliseconds: number): string {
  const whole = milliseconds / 1_000;
  return whole >= 120 && whole % 60 === 0 ? `${whole / 60} min` : `${plain(whole)} s`;
}
