# Fits distance = a + b * speed (+ c * speed^2) by gradient descent with momentum. Every third row validates.
# Reads: the step to begin after and the one to reach, a checkpoint if there is one. Writes: JSON lines, a checkpoint.
BEGIN { FS = "," }
/^[0-9]/ { n++; x[n] = ($1 - 15) / 5; y[n] = $2 / 43 }
END {
    if (ENVIRON["TUNEWELL_CHECKPOINT"] != "") {
        file = ENVIRON["TUNEWELL_CHECKPOINT"] "/weights"
        for (k = 0; k < 3; k++) { getline line < file; split(line, part, " "); w[k] = part[1]; v[k] = part[2] }
    }
    reports = ENVIRON["TUNEWELL_REPORTS"]
    for (step = ENVIRON["TUNEWELL_START"] + 1; step <= ENVIRON["TUNEWELL_UNTIL"]; step++) {
        g[0] = g[1] = g[2] = m = 0
        for (i = 1; i <= n; i++) if (i % 3) {
            d = w[0] + w[1] * x[i] + w[2] * x[i] * x[i] - y[i]
            g[0] += d; g[1] += d * x[i]; g[2] += d * x[i] * x[i]; m++
        }
        for (k = 0; k < 3; k++) { v[k] = momentum * v[k] - lr * g[k] / m; w[k] += v[k] }
        e = held = 0
        for (i = 3; i <= n; i += 3) { d = w[0] + w[1] * x[i] + w[2] * x[i] * x[i] - y[i]; e += d * d; held++ }
        if (e < 1e30) printf "{\"step\": %d, \"error\": %.9g}\n", step, e / held >> reports
        else printf "{\"step\": %d, \"error\": \"inf\"}\n", step >> reports
        fflush(reports)
    }
    file = ENVIRON["TUNEWELL_SAVE"] "/weights"
    for (k = 0; k < 3; k++) printf "%.17g %.17g\n", w[k], v[k] > file
}
