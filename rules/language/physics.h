/* Formulas of the air: what dewpoint and heat_index of the rule language compute.
 *
 * Promise: finite for finite input in their range, else NaN. Threads: none; pure. Units: °C, and relative humidity as a ratio of 0 to 1.
 */
#ifndef WEIR_RULES_LANGUAGE_PHYSICS_H
#define WEIR_RULES_LANGUAGE_PHYSICS_H

/* Over water, by the Magnus formula. Source: D. Sonntag, "Important new values of the physical constants of 1986, vapour pressure formulations
 * based on the ITS-90, and psychrometer formulae", Z. Meteorol. 70 (1990): 17.62 and 243.12 °C; within 0.35 K from -45 to 60 °C. NaN where the
 * humidity is not above 0, or above 1.1 (a sensor in fog shows a little more than 1). */
double wr_physics_dewpoint(double celsius, double humidity);

/* As the US National Weather Service computes it: Steadman's simple form where it is cool, else Rothfusz's regression with the two adjustments.
 * Source: L. P. Rothfusz, NWS Southern Region Technical Attachment SR 90-23 (1990); weather.gov, "The Heat Index Equation". */
double wr_physics_heat_index(double celsius, double humidity);

#endif
