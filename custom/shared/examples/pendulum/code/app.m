% Period of a physical pendulum from measured angles: zero crossings against the fit of a damped cosine.
data = dlmread('/input/angle.csv', ',', 1, 0);
t = data(:, 1); angle = data(:, 2);
up = find(angle(1:end-1) < 0 & angle(2:end) >= 0);
crossing = t(up) - angle(up) .* (t(up+1) - t(up)) ./ (angle(up+1) - angle(up));
period = mean(diff(crossing));
printf('labbox:progress 1/2\n');
model = @(p) p(1) * exp(-t / p(2)) .* cos(2 * pi * t / p(3) + p(4));
cost = @(p) sum((model(p) - angle) .^ 2);
p = fminsearch(cost, [max(angle), 20, period, 0], optimset('MaxFunEvals', 4000, 'MaxIter', 4000));
length_m = 9.81 * (p(3) / (2 * pi)) ^ 2;
printf('period by crossings %.4f s, by fit %.4f s; damping time %.1f s; equivalent length %.3f m\n', ...
       period, p(3), p(2), length_m);
file = fopen('/output/pendulum.csv', 'w');
fprintf(file, 'period_crossings_s,period_fit_s,damping_s,length_m\n%.5f,%.5f,%.3f,%.4f\n', period, p(3), p(2), length_m);
fclose(file);
dlmwrite('/output/fit.csv', [t, angle, model(p)], ',');
printf('labbox:progress 2/2\n');
