//! The regularised incomplete beta function and its inverse.
//!
//! The continued fraction of Lentz as in Press et al., *Numerical Recipes*, 3rd ed. 2007, section 6.4; the logarithm of
//! the gamma function after Lanczos (1964) with the coefficients of Godfrey (2001), good to some 1e-13.

/// Maximum number of terms of the continued fraction; it needs about the square root of the larger parameter.
const TERMS: u32 = 100_000;
/// Stands in the continued fraction for a number that is zero, because Lentz's method divides by it.
const TINY: f64 = 1e-300;

/// Returns `I_x(a, b)`: the probability that a beta-distributed number with these parameters, both above 0, is at
/// most `x`.
pub(super) fn regularised(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    let below_mean = x < (a + 1.0) / (a + b + 2.0);
    // So far from the mean the smaller side is below the smallest positive number, whatever the fraction is.
    if front == 0.0 {
        return if below_mean { 0.0 } else { 1.0 };
    }
    // The fraction converges fast on this side of the mean; the other side is its complement.
    if below_mean {
        (front * fraction(x, a, b) / a).clamp(0.0, 1.0)
    } else {
        (1.0 - front * fraction(1.0 - x, b, a) / b).clamp(0.0, 1.0)
    }
}

/// Returns the `x` with `I_x(a, b) = p`.
pub(super) fn inverse(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    // Bisection down to neighbouring numbers takes 60 steps and always converges, unlike Newton's method.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if regularised(middle, a, b) < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Returns the continued fraction of the incomplete beta function, by Lentz's method.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let nonzero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for term in 1..TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / nonzero(1.0 + even * d);
        c = nonzero(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / nonzero(1.0 + odd * d);
        c = nonzero(1.0 + odd / c);
        let change = d * c;
        result *= change;
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    result
}

/// Returns the natural logarithm of the gamma function, for numbers above 0.
pub(super) fn ln_gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const COEFFICIENTS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        // The reflection formula.
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let t = x + G + 0.5;
    let sum: f64 = COEFFICIENTS[0]
        + (1_u32..).zip(&COEFFICIENTS[1..]).map(|(at, c)| c / (x + f64::from(at))).sum::<f64>();
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}
