# What the reports are made of, turned into C arrays: the chart library (Chart.js, MIT) as it lies on this machine, and the page's own
# script and style. Without the library reports have tables only, and say so.
find_file(AN_CHART_JS NAMES chart.min.js Chart.min.js PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist
          DOC "Chart.js, embedded into reports (Debian: libjs-chart.js)")
if(NOT AN_CHART_JS)
  message(STATUS "Chart.js not found: reports will have tables and no charts (Debian: libjs-chart.js)")
endif()

set(AN_EMBEDDED "#include \"study/page.h\"\n")
function(an_embed name file)
  set(hex "")
  if(file)
    file(READ ${file} hex HEX)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  endif()
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  set(AN_EMBEDDED "${AN_EMBEDDED}const unsigned char ${name}[] = { ${bytes}0 };\n" PARENT_SCOPE)
endfunction()
an_embed(an_chart_js "${AN_CHART_JS}")
an_embed(an_page_js ${PROJECT_SOURCE_DIR}/src/study/page.js)
an_embed(an_page_css ${PROJECT_SOURCE_DIR}/src/study/page.css)

set(AN_EMBEDDED_SOURCE ${CMAKE_BINARY_DIR}/embedded.c)
file(GENERATE OUTPUT ${AN_EMBEDDED_SOURCE} CONTENT "${AN_EMBEDDED}")
