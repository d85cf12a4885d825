#include "rules/language/physics.h"

#include <math.h>

#define HUMIDITY_MAX 1.1

double wr_physics_dewpoint(double celsius, double humidity) {
    if (!(humidity > 0 && humidity <= HUMIDITY_MAX))
        return NAN;
    double gamma = log(humidity) + 17.62 * celsius / (243.12 + celsius);
    return 243.12 * gamma / (17.62 - gamma);
}

/* °F and per cent, as the regression was made. */
static double rothfusz(double t, double rh) {
    double index = -42.379 + 2.04901523 * t + 10.14333127 * rh - 0.22475541 * t * rh - 6.83783e-3 * t * t - 5.481717e-2 * rh * rh +
                   1.22874e-3 * t * t * rh + 8.5282e-4 * t * rh * rh - 1.99e-6 * t * t * rh * rh;
    if (rh < 13 && t >= 80 && t <= 112)
        index -= (13 - rh) / 4 * sqrt((17 - fabs(t - 95)) / 17);
    else if (rh > 85 && t >= 80 && t <= 87)
        index += (rh - 85) / 10 * ((87 - t) / 5);
    return index;
}

double wr_physics_heat_index(double celsius, double humidity) {
    if (!(humidity >= 0 && humidity <= HUMIDITY_MAX))
        return NAN;
    double t = celsius * 9 / 5 + 32;
    double rh = humidity * 100;
    double simple = 0.5 * (t + 61 + (t - 68) * 1.2 + rh * 0.094);
    double index = (simple + t) / 2 < 80 ? simple : rothfusz(t, rh);
    return (index - 32) * 5 / 9;
}
