# The chart library of the reports (Chart.js, MIT), as it lies on this machine, turned into a C array. Without it reports
# have tables only, and say so.
find_file(AN_CHART_JS NAMES chart.min.js Chart.min.js PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist
          DOC "Chart.js, embedded into reports (Debian: libjs-chart.js)")
set(AN_CHART_SOURCE ${CMAKE_BINARY_DIR}/chart_js.c)
if(AN_CHART_JS)
  file(READ ${AN_CHART_JS} hex HEX)
else()
  set(hex "")
  message(STATUS "Chart.js not found: reports will have tables and no charts (Debian: libjs-chart.js)")
endif()
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(GENERATE OUTPUT ${AN_CHART_SOURCE} CONTENT "#include \"study/page.h\"\nconst unsigned char an_chart_js[] = { ${bytes}0 };\n")
