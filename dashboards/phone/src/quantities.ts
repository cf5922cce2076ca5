/**
 * The quantities as people read them: unit label and decimals, both as in the wire format's table (`firmware/wire`), which
 * a test compares. Their names are in the language files.
 * The order is the order on screen: what decides over a crop first, the node's own battery last.
 */

export interface Quantity {
  /** The unit that the gateway sends for it (UCUM). */
  ucum: string;
  /** Decimals that the sensors are good for; more would claim a precision that isn't there. */
  decimals: number;
}

export const QUANTITIES = {
  dissolved_oxygen: { ucum: "mg/L", decimals: 1 },
  oxygen_saturation: { ucum: "%", decimals: 0 },
  water_level: { ucum: "cm", decimals: 1 },
  salinity: { ucum: "[ppth]", decimals: 1 },
  ph: { ucum: "[pH]", decimals: 2 },
  water_temperature: { ucum: "Cel", decimals: 1 },
  ammonia: { ucum: "mg/L", decimals: 2 },
  alkalinity: { ucum: "mg/L", decimals: 0 },
  turbidity: { ucum: "{NTU}", decimals: 0 },
  conductivity: { ucum: "mS/cm", decimals: 2 },
  soil_moisture: { ucum: "%", decimals: 1 },
  soil_temperature: { ucum: "Cel", decimals: 1 },
  soil_conductivity: { ucum: "uS/cm", decimals: 0 },
  soil_nitrogen: { ucum: "mg/kg", decimals: 0 },
  soil_phosphorus: { ucum: "mg/kg", decimals: 0 },
  soil_potassium: { ucum: "mg/kg", decimals: 0 },
  air_temperature: { ucum: "Cel", decimals: 1 },
  air_humidity: { ucum: "%", decimals: 0 },
  leaf_wetness: { ucum: "%", decimals: 0 },
  leaf_temperature: { ucum: "Cel", decimals: 1 },
  dew_point: { ucum: "Cel", decimals: 1 },
  vapour_pressure_deficit: { ucum: "kPa", decimals: 2 },
  absolute_humidity: { ucum: "g/m3", decimals: 1 },
  humidity_deficit: { ucum: "g/m3", decimals: 1 },
  rain: { ucum: "mm", decimals: 1 },
  wind_speed: { ucum: "m/s", decimals: 1 },
  wind_gust: { ucum: "m/s", decimals: 1 },
  wind_direction: { ucum: "deg", decimals: 0 },
  light: { ucum: "lx", decimals: 0 },
  par: { ucum: "umol/(m2.s)", decimals: 0 },
  radiation: { ucum: "W/m2", decimals: 0 },
  air_pressure: { ucum: "hPa", decimals: 1 },
  co2: { ucum: "[ppm]", decimals: 0 },
  battery_voltage: { ucum: "V", decimals: 2 },
} as const satisfies Record<string, Quantity>;

export type QuantityName = keyof typeof QUANTITIES;

const NAMES = Object.keys(QUANTITIES);

export const isQuantity = (name: string): name is QuantityName => Object.prototype.hasOwnProperty.call(QUANTITIES, name);

/** Decimals for a quantity, also for one that a newer gateway knows and this page doesn't. */
export const decimalsOf = (quantity: string): number => (isQuantity(quantity) ? QUANTITIES[quantity].decimals : 2);

/** Place in the order on screen; unknown quantities come last. */
export function quantityRank(quantity: string): number {
  const rank = NAMES.indexOf(quantity);
  return rank < 0 ? NAMES.length : rank;
}

/** UCUM codes that people write differently. A code that isn't here is written as it is. */
const UNIT_LABELS: Record<string, string> = {
  Cel: "°C",
  "[ppth]": "‰",
  "[pH]": "",
  "{NTU}": "NTU",
  "[ppm]": "ppm",
  "uS/cm": "µS/cm",
  "umol/(m2.s)": "µmol/m²s",
  "W/m2": "W/m²",
  "g/m3": "g/m³",
  deg: "°",
};

export const unitLabel = (ucum: string): string => UNIT_LABELS[ucum] ?? ucum;
